//! Patterns for names.

/// Whether `pattern`, in which `*` is any bytes and `?` any one, is for all of `text`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    fits(pattern, text, Some(b'?'))
}

/// Whether `pattern`, in which `*` is any bytes and nothing else is special, is for all of `text`.
pub fn stars(pattern: &[u8], text: &[u8]) -> bool {
    fits(pattern, text, None)
}

/// Whether a path is what a pattern says, name by name: neither `*` nor `?` is for a slash, as in fnmatch(3) with
/// FNM_PATHNAME.
pub fn path(pattern: &[u8], path: &[u8]) -> bool {
    let mut names = path.split(|&byte| byte == b'/');
    let all = pattern.split(|&byte| byte == b'/').all(|one| names.next().is_some_and(|name| glob(one, name)));
    all && names.next().is_none()
}

/// Goes back to the last `*` alone, so that no pattern takes longer than the product of the lengths.
fn fits(pattern: &[u8], text: &[u8], any: Option<u8>) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if any == Some(*wanted) || wanted == letter => (p, t) = (p + 1, t + 1),
            _ => match star {
                None => return false,
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_for_the_whole_name() {
        for (pattern, name, fits) in [
            ("openssh*", "openssh-server", true),
            ("openssh*", "openssh", true),
            ("*ssh", "openssh", true),
            ("*ssh", "openssh-server", false),
            ("o*s*h", "openssh", true),
            ("?usl", "musl", true),
            ("?usl", "usl", false),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXb", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        assert!(!glob("*a".repeat(200).as_bytes(), "a".repeat(199).as_bytes()));
    }

    #[test]
    fn a_star_is_any_part_of_a_name() {
        for (pattern, name, is) in [
            ("*", "", true),
            ("*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxc", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*bb*b", "abb", false),
            ("a", "ab", false),
            ("a?", "ab", false),
            ("a?", "a?", true),
        ] {
            assert_eq!(stars(pattern.as_bytes(), name.as_bytes()), is, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_stops_at_a_slash() {
        assert!(path(b"/lib/modules/*", b"/lib/modules/6.18.56-0-virt"));
        assert!(!path(b"/lib/modules/*", b"/lib/modules/6.18.56-0-virt/kernel"));
        assert!(!path(b"/lib/modules/*", b"/lib/modules"));
        assert!(path(b"/usr/lib/*/gdk-pixbuf-?.0", b"/usr/lib/x/gdk-pixbuf-2.0"));
    }
}
