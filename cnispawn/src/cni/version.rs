//! Versions of the CNI specification.

/// From when on DEL gets the cached result, and CHECK exists (SPEC.md of 0.4.0).
pub const CHECK: (u32, u32, u32) = (0, 4, 0);

/// Whether a `cniVersion` is at least `wanted`. An absent one means 0.1.0, as in libcni.
pub fn at_least(version: &str, wanted: (u32, u32, u32)) -> bool {
    parse(version).is_some_and(|version| version >= wanted)
}

fn parse(version: &str) -> Option<(u32, u32, u32)> {
    if version.is_empty() {
        return Some((0, 1, 0));
    }
    let mut parts = version.splitn(3, '.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        for (version, wanted) in [("0.4.0", true), ("1.0.0", true), ("0.10", true), ("0.3.1", false), ("", false)] {
            assert_eq!(at_least(version, CHECK), wanted, "{version}");
        }
        assert!(!at_least("one", CHECK));
    }
}
