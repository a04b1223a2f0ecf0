//! What devices and streams say to each other, in JSON and in CBOR.
//!
//! Both forms have the same one-letter members; bytes are base64 or hexadecimal in
//! JSON and byte strings in CBOR. Reading checks the bounds of each member, so that
//! what follows can trust them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Value as Json};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// CBOR.
    Cbor,
}

impl Format {
    /// The format of that name in a topic.
    pub fn parse(name: &str) -> Option<Format> {
        match name {
            "json" => Some(Format::Json),
            "cbor" => Some(Format::Cbor),
            _ => None,
        }
    }

    /// Its name in a topic.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Cbor => "cbor",
        }
    }
}

/// A member of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A whole number.
    Number(u64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list of objects.
    List(Vec<Vec<(&'static str, Item)>>),
}

/// A refusal, with the code that devices know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `BlockSizeOutOfBounds`.
    pub code: &'static str,
    /// What was wrong.
    pub message: String,
    /// The token of the request.
    pub token: Option<String>,
}

impl Refusal {
    /// A refusal of a request whose token is not known.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), token: None }
    }

    /// The message that says so.
    pub fn write(&self, format: Format) -> Vec<u8> {
        let mut members =
            vec![("o", Item::Text(self.code.to_owned())), ("m", Item::Text(self.message.clone()))];
        if let Some(token) = &self.token {
            members.push(("c", Item::Text(token.clone())));
        }
        write(format, members)
    }
}

/// A request for blocks, all members within their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// What the answers repeat.
    pub token: Option<String>,
    /// The version of the stream that the device knows.
    pub version: Option<u64>,
    /// The file.
    pub file: u8,
    /// How large a block is.
    pub size: usize,
    /// The first block.
    pub offset: usize,
    /// How many blocks at most.
    pub count: Option<usize>,
    /// Which blocks from the first on, the least significant bit first.
    pub bitmap: Option<Vec<u8>>,
}

impl Get {
    /// Reads a request.
    pub fn read(format: Format, payload: &[u8]) -> Result<Get, Refusal> {
        let body = Body::read(format, payload)?;
        let token = body.token()?;
        Get::members(format, &body, &token)
            .map_err(|refusal| Refusal { token: token.clone(), ..refusal })
    }

    fn members(format: Format, body: &Body, token: &Option<String>) -> Result<Get, Refusal> {
        let required = |name: &str| {
            body.number(name)?.ok_or_else(|| {
                Refusal::new("InvalidRequest", format!("member `{name}` is missing"))
            })
        };
        let file = required("f")?;
        let file = u8::try_from(file).map_err(|_| {
            Refusal::new("InvalidRequest", format!("file id {file} is not one of 0 to 255"))
        })?;
        let size = required("l")?;
        let largest = match format {
            // In base64 a block is a third larger, and a message has at most 128 KB.
            Format::Json => LARGEST_BLOCK / 4 * 3 - 1_024,
            Format::Cbor => LARGEST_BLOCK,
        };
        if !(SMALLEST_BLOCK..=largest).contains(&size) {
            return Err(Refusal::new(
                "BlockSizeOutOfBounds",
                format!(
                    "block size {size} is not one of {SMALLEST_BLOCK} to {largest} in {}",
                    format.name()
                ),
            ));
        }
        let offset = body.number("o")?.unwrap_or(0);
        if offset > MOST_BLOCKS {
            return Err(Refusal::new(
                "OffsetOutOfBounds",
                format!("block offset {offset} is not one of 0 to {MOST_BLOCKS}"),
            ));
        }
        let count = body.number("n")?;
        if count.is_some_and(|count| count > MOST_BLOCKS) {
            return Err(Refusal::new(
                "BlockCountLimitExceeded",
                format!("a request is for at most {MOST_BLOCKS} blocks"),
            ));
        }
        let bitmap = body.bitmap()?;
        if bitmap.as_ref().is_some_and(|bitmap| bitmap.len() >= BITMAP) {
            return Err(Refusal::new(
                "BlockBitmapLimitExceeded",
                format!("a bitmap has less than {BITMAP} bytes"),
            ));
        }
        Ok(Get {
            token: token.clone(),
            version: body.number("s")?,
            file,
            size: size as usize,
            offset: offset as usize,
            count: count.map(|count| count as usize),
            bitmap,
        })
    }

    /// The blocks that are wanted of a file with so many bytes, in order; together
    /// they hold at most 128 KB.
    pub fn blocks(&self, bytes: usize) -> Vec<usize> {
        let all = bytes.div_ceil(self.size);
        let most = self.count.unwrap_or(LARGEST_BLOCK as usize / self.size);
        let most = most.min(LARGEST_BLOCK as usize / self.size);
        let wanted = |block: &usize| match &self.bitmap {
            None => true,
            Some(bitmap) => {
                let bit = block - self.offset;
                bitmap.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
            }
        };
        (self.offset..all).filter(wanted).take(most).collect()
    }
}

/// Reads the token of a request for a description.
pub fn read_describe(format: Format, payload: &[u8]) -> Result<Option<String>, Refusal> {
    if payload.is_empty() {
        return Ok(None);
    }
    Body::read(format, payload)?.token()
}

/// Writes a message.
pub fn write(format: Format, members: Vec<(&'static str, Item)>) -> Vec<u8> {
    match format {
        Format::Json => Json::Object(json_members(members)).to_string().into_bytes(),
        Format::Cbor => {
            let mut out = Vec::new();
            if let Err(error) = ciborium::into_writer(&cbor_members(members), &mut out) {
                // Writing into memory does not fail; if it did, an empty message shows it.
                tracing::error!(%error, "a message cannot be written as CBOR");
            }
            out
        }
    }
}

fn json_members(members: Vec<(&'static str, Item)>) -> Map<String, Json> {
    let value = |item| match item {
        Item::Number(number) => number.into(),
        Item::Text(text) => text.into(),
        Item::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Item::List(list) => {
            list.into_iter().map(|members| Json::Object(json_members(members))).collect()
        }
    };
    members.into_iter().map(|(name, item)| (name.to_owned(), value(item))).collect()
}

fn cbor_members(members: Vec<(&'static str, Item)>) -> Cbor {
    let value = |item| match item {
        Item::Number(number) => Cbor::Integer(number.into()),
        Item::Text(text) => Cbor::Text(text),
        Item::Bytes(bytes) => Cbor::Bytes(bytes),
        Item::List(list) => Cbor::Array(list.into_iter().map(cbor_members).collect()),
    };
    Cbor::Map(members.into_iter().map(|(name, item)| (name.into(), value(item))).collect())
}

/// A request in either format.
enum Body {
    Json(Map<String, Json>),
    Cbor(Vec<(Cbor, Cbor)>),
}

impl Body {
    fn read(format: Format, payload: &[u8]) -> Result<Body, Refusal> {
        match format {
            Format::Json => match serde_json::from_slice(payload) {
                Ok(Json::Object(members)) => Ok(Body::Json(members)),
                _ => Err(Refusal::new("InvalidJson", "the payload is not a JSON object")),
            },
            Format::Cbor => match ciborium::de::from_reader_with_recursion_limit(payload, DEPTH) {
                Ok(Cbor::Map(members)) => Ok(Body::Cbor(members)),
                _ => Err(Refusal::new("InvalidCbor", "the payload is not a CBOR map")),
            },
        }
    }

    fn cbor(members: &[(Cbor, Cbor)], name: &str) -> Option<Cbor> {
        let found = members.iter().find(|(key, _)| key.as_text() == Some(name));
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let wrong = || {
            Refusal::new("InvalidRequest", format!("member `{name}` must be a whole number from 0"))
        };
        match self {
            Body::Json(members) => match members.get(name) {
                None | Some(Json::Null) => Ok(None),
                Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
            },
            Body::Cbor(members) => match Body::cbor(members, name) {
                None => Ok(None),
                Some(value) => value
                    .as_integer()
                    .and_then(|number| u64::try_from(number).ok())
                    .map(Some)
                    .ok_or_else(wrong),
            },
        }
    }

    fn token(&self) -> Result<Option<String>, Refusal> {
        let token = match self {
            Body::Json(members) => match members.get("c") {
                None | Some(Json::Null) => return Ok(None),
                Some(value) => value.as_str().map(str::to_owned),
            },
            Body::Cbor(members) => match Body::cbor(members, "c") {
                None => return Ok(None),
                Some(value) => value.into_text().ok(),
            },
        };
        token.filter(|token| token.len() <= LONGEST_TOKEN).map(Some).ok_or_else(|| {
            Refusal::new(
                "InvalidRequest",
                format!("member `c` must be a text of at most {LONGEST_TOKEN} bytes"),
            )
        })
    }

    fn bitmap(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let wrong = |what| Refusal::new("InvalidRequest", format!("member `b` must be {what}"));
        match self {
            Body::Json(members) => match members.get("b") {
                None | Some(Json::Null) => Ok(None),
                Some(Json::String(hex)) => {
                    unhex(hex).map(Some).ok_or_else(|| wrong("hexadecimal digits in pairs"))
                }
                Some(_) => Err(wrong("a text")),
            },
            Body::Cbor(members) => match Body::cbor(members, "b") {
                None => Ok(None),
                Some(value) => value.into_bytes().map(Some).map_err(|_| wrong("a byte string")),
            },
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

const SMALLEST_BLOCK: u64 = 256;
/// The largest block, and the most that one request yields.
const LARGEST_BLOCK: u64 = 131_072;
const MOST_BLOCKS: u64 = 98_304;
const BITMAP: usize = 12_288;
const LONGEST_TOKEN: usize = 64;
const DEPTH: usize = 16;
