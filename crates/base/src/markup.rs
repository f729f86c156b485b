//! Text inside XML and HTML.

/// Text as XML 1.0 and HTML take it, between tags or in an attribute: markup is escaped, and characters that XML has
/// none of (section 2.2), or that a terminal acts on, are replaced.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup_or_beyond_it() {
        let text = "<a href=\"x\" b='y'>&\u{1b}[2J\u{0}\u{ffff}é\n\t";
        let shown = "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{fffd}[2J\u{fffd}\u{fffd}é\n\t";
        assert_eq!(escaped(text), shown);
    }
}
