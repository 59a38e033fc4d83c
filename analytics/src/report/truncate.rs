//! Making traits fit into one event, whatever they hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::wire::bytes;

/// What stands in the place of what was left out.
const NOTE: &str = "_truncated";

/// Cuts the largest traits until all of them together take at most `bytes_max`.
///
/// Maps and lists lose the latter half of their entries at a time, and maps note how many they have lost; a trait that
/// is still too large is left out, and counted in the note of the whole.
pub(super) fn truncate(traits: &mut Map<String, Json>, bytes_max: usize) {
    // A name takes two quotes, a colon and a comma more.
    let member = |name: &str, value: &Json| name.len() + 4 + bytes(value);
    let mut sizes: BTreeMap<String, usize> =
        traits.iter().map(|(name, value)| (name.clone(), member(name, value))).collect();
    while 2 + sizes.values().sum::<usize>() > bytes_max {
        let cuttable = sizes.iter().filter(|(name, _)| *name != NOTE);
        let largest = cuttable.max_by_key(|(_, size)| **size).map(|(name, _)| name.clone());
        let Some(name) = largest else { return };
        if traits.get_mut(&name).is_some_and(cut) {
            let size = traits.get(&name).map(|value| member(&name, value)).unwrap_or_default();
            sizes.insert(name, size);
        } else {
            traits.remove(&name);
            sizes.remove(&name);
            let lost = traits.get(NOTE).and_then(Json::as_u64).unwrap_or_default();
            let note = Json::from(lost + 1);
            sizes.insert(NOTE.to_owned(), member(NOTE, &note));
            traits.insert(NOTE.to_owned(), note);
        }
    }
}

/// Takes the latter half out of a map or a list; returns whether that made it smaller.
fn cut(value: &mut Json) -> bool {
    let before = bytes(value);
    match value {
        Json::Object(map) => {
            let lost = map.remove(NOTE).and_then(|note| note.as_u64()).unwrap_or_default();
            let kept = map.len() / 2;
            let cut = u64::try_from(map.len() - kept).unwrap_or(u64::MAX);
            let entries = std::mem::take(map).into_iter().take(kept);
            map.extend(entries);
            map.insert(NOTE.to_owned(), Json::from(lost.saturating_add(cut)));
        }
        Json::Array(list) => list.truncate(list.len() / 2),
        _ => return false,
    }
    bytes(value) < before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(count: usize) -> Json {
        (0..count).map(|n| (format!("size{n:04}"), json!(n))).collect::<Map<_, _>>().into()
    }

    #[test]
    fn largest_map_is_cut_and_says_how_much_it_lacks() {
        let json = json!({"replicas": map(1000), "sources": map(3), "tables": 7});
        let Json::Object(mut traits) = json else { panic!() };
        truncate(&mut traits, 6000);
        assert_eq!(traits["sources"], map(3));
        assert_eq!(traits["tables"], 7);
        let replicas = traits["replicas"].as_object().unwrap();
        assert_eq!((replicas.len(), &replicas[NOTE]), (251, &json!(750)));
        assert_eq!(replicas["size0000"], 0);
    }

    #[test]
    fn traits_that_fit_are_left_alone_to_the_byte() {
        let Json::Object(traits) = json!({"a": map(10), "b": [1, 2]}) else { panic!() };
        let exact = Json::Object(traits.clone()).to_string().len();
        let mut kept = traits.clone();
        truncate(&mut kept, exact + 1);
        assert_eq!(kept, traits);
    }

    #[test]
    fn trait_that_cannot_be_cut_is_left_out_and_counted() {
        let Json::Object(mut traits) = json!({"text": "x".repeat(500), "n": 1}) else { panic!() };
        truncate(&mut traits, 100);
        assert_eq!(Json::Object(traits), json!({"_truncated": 1, "n": 1}));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn cutting_ends_and_fits(
            sizes in prop::collection::vec(0_usize..400, 0..20),
            texts in prop::collection::vec("\\PC{0,200}", 0..10),
            bytes_max in 30_usize..20_000,
        ) {
            let maps = sizes.iter().enumerate().map(|(n, size)| (format!("map{n}"), map(*size)));
            let texts = texts.into_iter().enumerate().map(|(n, text)| (format!("text{n}"), json!([text])));
            let mut traits: Map<_, _> = maps.chain(texts).collect();
            truncate(&mut traits, bytes_max);
            prop_assert!(Json::Object(traits).to_string().len() <= bytes_max);
        }
    }
}
