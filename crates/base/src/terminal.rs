//! What may reach a terminal: text without the characters that control a terminal or deceive a reader.
//!
//! Packages, mirrors, images and machines all bring text of their own: names, descriptions, what a script or `ssh`
//! said. Escape sequences in it move the cursor, set the window's title or answer as if the user had typed; bidirectional
//! overrides show one name and mean another (CVE-2021-42574). Whatever came from outside passes [`harmless`] before it
//! is shown, whether on standard output or on standard error.

/// The text with every character replaced by U+FFFD that is not shown as itself. Line ends and tabs stay.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The same for what has to stay one line.
pub fn harmless_line(text: &str) -> String {
    let keep = |c: char| is_harmless(c) && c != '\n';
    text.chars().map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The same for bytes, which need not be UTF-8.
pub fn harmless_bytes(bytes: &[u8]) -> String {
    harmless(&String::from_utf8_lossy(bytes))
}

/// Whether a terminal shows the character and does nothing else.
pub fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // C0, DEL and C1: with them escape sequences begin (ECMA-48), CSI and OSC among them.
        c if c.is_control() => false,
        // Invisible, so that two names look alike: soft hyphen, combining grapheme joiner, fillers, Mongolian separators.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{180b}'..='\u{180f}' => false,
        // Bidirectional: the marks, embeddings, overrides and isolates of UAX #9.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        // Zero width, line and paragraph separators, invisible operators, deprecated format characters.
        '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' => false,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' => false,
        // Tags: a whole hidden alphabet; and the other default-ignorable code points of its plane.
        '\u{e0000}'..='\u{e0fff}' => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_or_the_eye_is_not_shown() {
        for (text, shown) in [
            ("a\x1b[2J\u{9b}b\r\n└ c\n", "a\u{fffd}[2J\u{fffd}b\u{fffd}\n└ c\n"),
            ("\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}"),
            ("a\u{202e}cod.exe\u{2066}\u{200f}", "a\u{fffd}cod.exe\u{fffd}\u{fffd}"),
            ("naïve – 漢字\tü\u{301}", "naïve – 漢字\tü\u{301}"),
            ("pass\u{200b}word\u{feff}", "pass\u{fffd}word\u{fffd}"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        assert_eq!(harmless_line("a\nerror: b"), "a\u{fffd}error: b");
        assert_eq!(harmless_bytes(b"\xff\x1b"), "\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_of_it_is_acted_on(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            for shown in [harmless(&text), harmless_bytes(&bytes)] {
                prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                prop_assert!(!shown.chars().any(|c| matches!(u32::from(c), 0x202a..=0x202e | 0x2066..=0x2069)));
                // What is harmless stays as it is, however often it is looked at.
                prop_assert_eq!(&harmless(&shown), &shown);
            }
            prop_assert_eq!(harmless(&text).chars().count(), text.chars().count());
        }
    }
}
