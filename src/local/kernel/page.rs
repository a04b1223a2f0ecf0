//! Pages of long lists, with tokens that the client hands back.
//!
//! A token is the key of the last item of a page, so that items that come and
//! go between two pages neither repeat nor hide others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::{Fault, loose};

/// The items after `token`, at most `limit`, and the token of the next page.
///
/// `items` must be in the order of their keys.
///
/// # Errors
/// [`Fault::invalid_input`] for a token that no page gave.
pub fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, Option<String>), Fault> {
    let after = after(token)?;
    let mut found = Vec::new();
    for item in items {
        if after.as_ref().is_some_and(|after| key(&item) <= *after) {
            continue;
        }
        if found.len() == limit.max(1) {
            let next = found.last().map(|last| URL_SAFE_NO_PAD.encode(key(last)));
            return Ok((found, next));
        }
        found.push(item);
    }
    Ok((found, None))
}

/// The key behind which a page begins, for those who need not look at what is before.
///
/// # Errors
/// [`Fault::invalid_input`] for a token that no page gave.
pub fn after(token: Option<&str>) -> Result<Option<String>, Fault> {
    token.map(decode).transpose()
}

/// How an operation is asked for a page.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// The member with the number of items wanted.
    pub limit: &'static str,
    /// The member with the token of the page before.
    pub token: &'static str,
    /// How many items a page holds if nothing is said.
    pub default: u16,
    /// How many it holds at most, however many are wanted.
    pub most: u16,
}

impl Paging {
    /// The page of `items` that an input asks for, and the token of the next one.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] for members of the wrong kind and for a token that
    /// no page gave.
    pub fn cut<T>(
        &self,
        input: &Map<String, Value>,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), Fault> {
        let limit = loose::integer(input, self.limit)?.unwrap_or(self.default.into());
        let limit = usize::try_from(limit.clamp(1, self.most.into())).unwrap_or(1);
        page(items, key, loose::text(input, self.token)?.as_deref(), limit)
    }
}

fn decode(token: &str) -> Result<String, Fault> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Fault::invalid_input(format!("nextToken `{token}` was not given by a page")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page() {
        let items = ["a", "b", "c", "d", "e"];
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let (found, next) =
                page(items, |item| (*item).to_owned(), token.as_deref(), 2).unwrap();
            all.extend(found);
            if next.is_none() {
                break;
            }
            token = next;
        }
        assert_eq!(all, items);
        assert!(page(items, |item| (*item).to_owned(), Some("?"), 2).is_err());
    }

    #[test]
    fn an_input_asks_for_a_page_within_bounds() {
        let paging = Paging { limit: "MaxItems", token: "Marker", default: 2, most: 3 };
        let cut = |input: Value| {
            let input = input.as_object().cloned().unwrap_or_default();
            paging.cut(&input, 0..5, ToString::to_string)
        };
        for (limit, count) in [(Value::Null, 2), ("3".into(), 3), (9.into(), 3), (0.into(), 1)] {
            let (found, next) = cut(serde_json::json!({"MaxItems": limit})).unwrap();
            assert_eq!((found.len(), next.is_some()), (count, true));
        }
        let (_, next) = cut(serde_json::json!({})).unwrap();
        let (found, _) = cut(serde_json::json!({"Marker": next})).unwrap();
        assert_eq!(found, [2, 3]);
        assert!(cut(serde_json::json!({"MaxItems": "many"})).is_err());
    }
}
