//! Tensors of a checkpoint that are one and the same: modules trained as copies, copies of the embedding, a head that is
//! the embedding, and what becomes of both where one of the two was trained by itself. Knows names, and compares bytes.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::layout::HEAD;
use crate::model::load::layout::Layout;
use crate::model::load::layout::claim;
use crate::model::load::names::EMBEDDINGS;
use crate::model::load::tensors::Tensors;
use std::collections::BTreeMap;

impl Layout {
    /// The embedding's name, where there is one.
    pub(crate) fn embedding(&self) -> Option<&'static str> {
        EMBEDDINGS.into_iter().find(|name| self.tensors.contains_key(*name))
    }

    /// A trained copy takes the place of its original; an original without one stays. An adapter with saved embedding
    /// layers has the copy twice: once in its own place, as all that `modules_to_save` names, once as in a live model.
    pub(super) fn settle_saved(
        &mut self,
        saved: BTreeMap<String, String>,
        mut originals: BTreeMap<String, String>,
        tensors: &Tensors,
    ) -> Result<()> {
        const REPLACED: &str = "the original of a module that was trained as a copy";
        for (name, raw) in saved {
            match self.tensors.get(&name) {
                Some(plain) if tensors.same(plain, &raw) => {
                    self.drop_one(&raw, "a trained module once more");
                }
                Some(plain) => {
                    return Err(Error::Disagree { one: plain.clone(), other: raw });
                }
                None => claim(&mut self.tensors, name.clone(), raw)?,
            }
            let original = originals.remove(&name);
            if let Some(original) = &original {
                self.drop_one(original, REPLACED);
            }
            self.originals.insert(name, original);
        }
        for (name, raw) in originals {
            if self.tensors.contains_key(&name) {
                self.drop_one(&raw, REPLACED);
                self.originals.insert(name, Some(raw));
            } else {
                claim(&mut self.tensors, name, raw)?;
            }
        }
        Ok(())
    }

    /// The Coconut code saves the embedding again under its own name; both must be the same.
    pub(super) fn check_copies(
        &mut self,
        copies: Vec<(String, String)>,
        inner: &BTreeMap<String, String>,
        tensors: &Tensors,
    ) -> Result<()> {
        for (name, raw) in copies {
            let within = ["transformer.wte", "wte", "model.embed_tokens", "embed_tokens"];
            let twin = within.iter().find_map(|module| inner.get(&format!("{module}.{name}")));
            match twin {
                Some(twin) if tensors.same(twin, &raw) => {
                    self.drop_one(&raw, "the embedding once more");
                }
                Some(twin) => {
                    return Err(Error::Disagree { one: twin.clone(), other: raw });
                }
                // Writers that keep one of several tied tensors may have kept this one.
                None => {
                    let name = format!("{}{name}", self.embedding_module());
                    claim(&mut self.tensors, name, raw)?;
                }
            }
        }
        Ok(())
    }

    /// Writers that keep one of several tied tensors may have kept the head.
    pub(super) fn find_embedding(&mut self) {
        if let (None, Some(head)) = (self.embedding(), self.tensors.get(HEAD)) {
            let name = format!("{}weight", self.embedding_module());
            self.tensors.insert(name, head.clone());
        }
    }

    fn embedding_module(&self) -> &'static str {
        match self.tensors.keys().any(|name| name.starts_with("transformer.")) {
            true => "transformer.wte.",
            false => "model.embed_tokens.",
        }
    }

    /// Whether the head is the embedding, as config.json says with `tied`; leaves the head out if so. An adapter of the
    /// one leaves the other as it was: where PEFT ties them all the same, the file has both.
    pub(super) fn settle_head(&mut self, tensors: &Tensors, tied: bool) -> Result<bool> {
        let Some(name) = self.embedding() else { return Ok(tied) };
        let (embedding, head) = (self.tensors[name].clone(), self.tensors.get(HEAD).cloned());
        if !tied {
            return match head {
                Some(head) if head == embedding => Err(Error::Missing(vec![name.to_owned()])),
                _ => Ok(false),
            };
        }
        let either = |changed: &dyn Fn(&str) -> bool| changed(name) || changed(HEAD);
        let paired = either(&|name| self.lora.contains_key(name));
        let saved = either(&|name| self.originals.contains_key(name));
        let Some(head) = head else {
            if paired || saved {
                let original = self.originals.get(name).cloned().unwrap_or(Some(embedding));
                self.tensors.extend(original.map(|original| (HEAD.to_owned(), original)));
            }
            return Ok(!(paired || saved));
        };
        let same_rows = match (self.rows.get(name), self.rows.get(HEAD)) {
            (Some(one), Some(other)) => tensors.same(&one.raw, &other.raw),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        match !paired && same_rows && tensors.same(&embedding, &head) {
            false if paired || saved => Ok(false),
            false => Err(Error::Disagree { one: embedding, other: head }),
            true => {
                self.tensors.remove(HEAD);
                self.rows.remove(HEAD);
                if head != embedding {
                    self.drop_one(&head, "the tied head, which is the embedding once more");
                }
                Ok(true)
            }
        }
    }
}
