//! The name that was probably meant; upper and lower case are the same.

use strsim::levenshtein;

/// Of these names the one most like `wanted`, if one is much like it.
pub(super) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    // A third of the letters may be wrong, and always one.
    let limit = (wanted.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant() {
        let names = ["orders", "orders-dead", "payments", "Users"];
        assert_eq!(nearest("ordrs", names), Some("orders"));
        assert_eq!(nearest("payment", names), Some("payments"));
        assert_eq!(nearest("users", names), Some("Users"));
        assert_eq!(nearest("stocks", names), None);
        assert_eq!(nearest("a", ["b", "xy"]), Some("b"));
        assert_eq!(nearest("orders", []), None);
    }
}
