//! A document as a title and sentences. Knows text and Markdown, no folder.

use pulldown_cmark::Event;
use pulldown_cmark::HeadingLevel;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;
use unicode_segmentation::UnicodeSegmentation as _;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) sentences: Vec<String>,
}

impl Page {
    /// Text in paragraphs, named by its file.
    pub(super) fn plain(name: &str, text: &str) -> Self {
        let paragraphs = text.lines().collect::<Vec<_>>();
        let paragraphs = paragraphs.split(|line| line.trim().is_empty());
        let sentences = paragraphs.flat_map(|lines| sentences(&lines.join(" "))).collect();
        Self { title: name.to_owned(), sentences }
    }

    /// Markdown, named by its first heading of the first kind. Other headings, code and HTML are no sentences.
    pub(super) fn markdown(name: &str, text: &str) -> Self {
        let mut page = Self { title: String::new(), sentences: Vec::new() };
        let (mut block, mut skipped) = (String::new(), 0);
        for event in Parser::new(text) {
            match event {
                Event::Start(Tag::Heading { .. } | Tag::Item) => page.end_block(&mut block),
                Event::End(TagEnd::Heading(HeadingLevel::H1)) if page.title.is_empty() => {
                    page.title = words(&std::mem::take(&mut block));
                }
                Event::End(TagEnd::Heading(_)) => block.clear(),
                Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => skipped += 1,
                Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => skipped -= 1,
                Event::Text(text) | Event::Code(text) if skipped == 0 => block.push_str(&text),
                Event::SoftBreak | Event::HardBreak => block.push(' '),
                Event::End(TagEnd::Paragraph | TagEnd::Item) => page.end_block(&mut block),
                _ => {}
            }
        }
        page.end_block(&mut block);
        if page.title.is_empty() {
            name.clone_into(&mut page.title);
        }
        page
    }

    fn end_block(&mut self, block: &mut String) {
        self.sentences.extend(sentences(&std::mem::take(block)));
    }
}

fn sentences(paragraph: &str) -> Vec<String> {
    let sentences = paragraph.split_sentence_bounds().map(words);
    sentences.filter(|sentence| !sentence.is_empty()).collect()
}

/// The same words with one space between them.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn markdown_is_its_title_and_its_sentences() {
        let text = "Before.\n\n# The *Moon*\n\nIt is [round](https://a.b). It\nis `far`.\n\n```\nx. y.\n```\n\n\
                    ## Data\n\n- Mass: small.\n- Tides\n\n<p>html</p>\n";
        let page = Page::markdown("file", text);
        assert_eq!(page.title, "The Moon");
        let sentences = ["Before.", "It is round.", "It is far.", "Mass: small.", "Tides"];
        assert_eq!(page.sentences, sentences);
        assert_eq!(Page::markdown("file", "## Two\n\nOne.").title, "file");
    }

    #[test]
    fn text_is_sentences_across_its_lines() {
        let page = Page::plain("Moon", "One is 3.5 km. Two\ngoes on! Is it?\n\nThree\n");
        assert_eq!(page.sentences, ["One is 3.5 km.", "Two goes on!", "Is it?", "Three"]);
    }
}
