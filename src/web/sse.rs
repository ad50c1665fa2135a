//! Server-sent events out of pieces of bytes, as the HTML standard defines them (section 9.2). Knows names and data, not
//! what they mean.

use crate::files::text;

/// More than any event of a server has; a stream without line ends does not take all memory.
const MAX_BYTES: usize = 64 << 20;

/// An event. Comments, ids and retry times are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What stands after `event:`.
    pub name: String,
    /// What stands after `data:`; several lines are joined.
    pub data: String,
}

/// What was read of a stream and is no complete event yet.
#[derive(Debug, Default)]
pub struct Events {
    /// The line that is not complete.
    line: Vec<u8>,
    name: String,
    data: Vec<String>,
}

/// The stream is no stream of events.
#[derive(Debug, thiserror::Error)]
#[error("the stream holds no events")]
pub struct Unreadable;

impl Events {
    /// The events that `bytes` complete.
    ///
    /// # Errors
    /// Where they are no text, or a line without an end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Unreadable> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_BYTES {
                return Err(Unreadable);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = std::str::from_utf8(text::unmarked(&line)).map_err(|_| Unreadable)?;
                events.extend(self.take_line(line.trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(events)
    }

    /// The event that ends with this line, if it is the empty one after some data.
    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return (!data.is_empty()).then(|| Event { name, data: data.join("\n") });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: thought\ndata: {\"step\": 1}\n\n: ping\n\nevent:token\r\ndata: {\"text\": \"é\"}\r\n\r\n\
                          event: done\ndata: a\ndata: b\n\nevent: cut\ndata: off";

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut events = Events::default();
        pieces.iter().flat_map(|piece| events.push(piece).unwrap()).collect()
    }

    #[test]
    fn events_are_read_and_comments_left_out() {
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        assert_eq!(
            events(&[STREAM.as_bytes()]),
            [
                event("thought", "{\"step\": 1}"),
                event("token", "{\"text\": \"é\"}"),
                event("done", "a\nb"),
            ]
        );
    }

    #[test]
    fn it_does_not_matter_where_the_pieces_are_cut() {
        let bytes = STREAM.as_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(events(&[&bytes[..cut], &bytes[cut..]]), events(&[bytes]), "{cut}");
        }
        assert_eq!(events(&bytes.chunks(1).collect::<Vec<_>>()), events(&[bytes]));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(Events::default().push(b"data: \xff\n").is_err());
    }
}
