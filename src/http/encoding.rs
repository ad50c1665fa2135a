//! `content-encoding` of request bodies: which are known, and how such a body is read within a bound. Does not know what
//! is in the body.

use crate::http::error::ApiError;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header;
use flate2::read::MultiGzDecoder;
use flate2::read::ZlibDecoder;
use std::io::Read;

/// One after the other; nobody needs more, and each one is work.
const MOST_CODINGS: usize = 3;

/// So much of an unknown coding's name is said back.
const MOST_NAME: usize = 64;

/// How a body was encoded, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Codings(Vec<Coding>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

impl Codings {
    /// What the headers say, or the coding that is not known.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut codings = Vec::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for name in String::from_utf8_lossy(value.as_bytes()).split(',').map(str::trim) {
                codings.extend(coding(name)?);
            }
        }
        if codings.len() > MOST_CODINGS {
            return Err(ApiError::UnsupportedEncoding {
                name: format!("{} codings", codings.len()),
            });
        }
        Ok(Self(codings))
    }

    /// Whether the body is as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.0.is_empty()
    }

    /// The body, which has at most `limit` bytes after each step.
    pub(super) fn decode(&self, body: Bytes, limit: usize) -> Result<Bytes, ApiError> {
        self.0.iter().rev().try_fold(body, |body, coding| match coding {
            Coding::Gzip => read(MultiGzDecoder::new(&*body), limit, "gzip"),
            Coding::Deflate => {
                read(ZlibDecoder::new(&*body), limit, "deflate (RFC 9110: in zlib's format)")
            }
        })
    }
}

fn coding(name: &str) -> Result<Option<Coding>, ApiError> {
    match name.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        _ => Err(ApiError::UnsupportedEncoding { name: name.chars().take(MOST_NAME).collect() }),
    }
}

fn read(decoder: impl Read, limit: usize, name: &str) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    // One more, which tells a body at the limit from one beyond it.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut body).map_err(|error| ApiError::Malformed {
        message: format!("the body is not {name}: {error}"),
        param: None,
    })?;
    if body.len() > limit {
        return Err(ApiError::BodyTooLarge { limit });
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use flate2::write::ZlibEncoder;
    use std::io::Write as _;

    fn codings(values: &[&'static str]) -> Result<Codings, ApiError> {
        let pair =
            |value: &&'static str| (header::CONTENT_ENCODING, HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        values.iter().map(pair).for_each(|(name, value)| {
            headers.append(name, value);
        });
        Codings::of(&headers)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codings_are_known_by_any_spelling_and_others_are_named() {
        assert!(codings(&[]).unwrap().is_plain());
        assert!(codings(&["identity", ""]).unwrap().is_plain());
        assert_eq!(codings(&["GZIP"]).unwrap(), Codings(vec![Coding::Gzip]));
        let both = Codings(vec![Coding::Deflate, Coding::Gzip]);
        assert_eq!(codings(&["deflate, x-gzip"]).unwrap(), both);
        assert_eq!(codings(&["deflate", "gzip"]).unwrap(), both);
        for (value, named) in
            [("br", "br"), ("gzip, zstd", "zstd"), ("gzip,gzip,gzip,gzip", "4 codings")]
        {
            let name = named.to_owned();
            assert_eq!(codings(&[value]), Err(ApiError::UnsupportedEncoding { name }), "{value}");
        }
    }

    #[test]
    fn a_body_is_read_back_through_all_its_codings() {
        let body = Bytes::from(gzip(&zlib(b"text")));
        assert_eq!(codings(&["deflate, gzip"]).unwrap().decode(body, 64).unwrap(), "text");
        let two_members = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(codings(&["gzip"]).unwrap().decode(two_members.into(), 64).unwrap(), "onetwo");
    }

    #[test]
    fn the_bound_holds_after_decoding_and_at_every_step() {
        let limit = 1000;
        for (size, fits) in [(limit, true), (limit + 1, false), (10_000_000, false)] {
            let body = Bytes::from(gzip(&vec![0; size]));
            let read = codings(&["gzip"]).unwrap().decode(body, limit);
            assert_eq!(
                read.as_ref().err(),
                (!fits).then_some(&ApiError::BodyTooLarge { limit }),
                "{size}"
            );
        }
        let bomb = Bytes::from(gzip(&gzip(&vec![0; 100_000_000])));
        let read = codings(&["gzip, gzip"]).unwrap().decode(bomb, limit);
        assert_eq!(read, Err(ApiError::BodyTooLarge { limit }));
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_malformed() {
        for (value, body) in
            [("gzip", &b"{}"[..]), ("deflate", b"{}"), ("gzip", &gzip(b"text")[..9]), ("gzip", b"")]
        {
            let read = codings(&[value]).unwrap().decode(Bytes::copy_from_slice(body), 64);
            assert!(matches!(read, Err(ApiError::Malformed { .. })), "{value}: {read:?}");
        }
    }
}
