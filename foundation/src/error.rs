//! Show an error with its causes.

/// An error and all its causes, as one text. Parts of it may come from elsewhere, a plugin's output or a record, so
/// control characters are replaced: none of them reaches the terminal.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_does_not_clear_the_screen() {
        let error = std::io::Error::other("a\u{1b}[2J\r\u{9b}b\n\tc");
        assert_eq!(super::error_chain(&error), "a\u{fffd}[2J\u{fffd}\u{fffd}b\n\tc");
    }
}
