//! Words of a value: quotes and escapes (systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines").

/// Splits a value into words as systemd does: blanks separate; quotes of either kind hold together; a backslash escapes.
///
/// # Errors
/// What was expected and what was found.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().push(escape(&mut chars)?),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("expected a closing {open}, found the end of the line")),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

fn escape(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let c = chars.next().ok_or("expected a character after \\, found the end of the line")?;
    match c {
        'n' => Ok('\n'),
        't' => Ok('\t'),
        'r' => Ok('\r'),
        's' => Ok(' '),
        '\\' | '"' | '\'' => Ok(c),
        'x' => {
            let digits: String = chars.take(2).collect();
            match u8::from_str_radix(&digits, 16) {
                Ok(byte) if byte.is_ascii() && byte != 0 && digits.len() == 2 && !digits.starts_with('+') => {
                    Ok(char::from(byte))
                }
                _ => Err(format!("expected \\x01 to \\x7f, found \\x{digits}")),
            }
        }
        other => Err(format!("expected one of \\n \\t \\r \\s \\x \\\\ \\\" \\', found \\{other}")),
    }
}

/// Takes `%%` and `$$` for `%` and `$`, and refuses specifiers and variables: systemd would put something of the host in
/// their place, and there is none here.
///
/// # Errors
/// What was expected and what was found.
pub fn literal(text: &str) -> Result<String, String> {
    let mut found = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        found.push(c);
        let next = chars.peek().copied();
        match (c, next) {
            ('%' | '$', Some(next)) if next == c => {
                chars.next();
            }
            ('%', Some(next)) if next.is_ascii_alphabetic() => {
                return Err(format!("expected no specifier of systemd, found %{next}; %% is a percent sign"));
            }
            ('$', Some(next)) if next.is_ascii_alphabetic() || "_{".contains(next) => {
                return Err(format!(
                    "expected no variable of systemd, found ${next}...; $$ is a dollar sign"
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_systemd_does() {
        for (text, words) in [
            ("", vec![]),
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"a "b c" 'd "e' """#, vec!["a", "b c", "d \"e", ""]),
            (r#"KEY="a b"c \x41\s\\ \"#, vec![]),
            (r#"KEY="a b"c \x41\s\\"#, vec!["KEY=a bc", "A \\"]),
        ] {
            match split(text) {
                Ok(found) => assert_eq!(found, words, "{text}"),
                Err(error) => assert!(text.ends_with(r" \"), "{text}: {error}"),
            }
        }
        for bad in ["\"a", "'", r"\q", r"\x0", r"\x+1", r"\x00", r"\xff", "\\"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn specifiers_and_variables_are_refused() {
        assert_eq!(literal("100%% $$HOME $5 % $").unwrap(), "100% $HOME $5 % $");
        for bad in ["%h/x", "$HOME", "${HOME}", "a%i"] {
            assert!(literal(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_words_in_quotes_are_those_words(words in prop::collection::vec("[^\\x00]{0,20}", 0..6)) {
            let quoted: Vec<String> =
                words.iter().map(|w| format!("\"{}\"", w.replace('\\', r"\\").replace('"', "\\\""))).collect();
            prop_assert_eq!(split(&quoted.join(" ")).unwrap(), words);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = split(&text);
            let _ = literal(&text);
        }
    }
}
