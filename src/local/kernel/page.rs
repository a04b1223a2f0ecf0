//! Pages of long lists, with tokens that the client hands back.
//!
//! A token is the key of the last item of a page, so that items that come and
//! go between two pages neither repeat nor hide others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Fault;

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
    let after = token.map(decode).transpose()?;
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
}
