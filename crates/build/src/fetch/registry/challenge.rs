//! Where a registry says that tokens come from: the header `WWW-Authenticate` (RFC 9110, section 11.6.1), which may name several
//! ways to log in, each with parameters. The one of tokens is `Bearer` (RFC 6750, section 3).

/// `Bearer realm="https://...",service="...",scope="..."`.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The address that gives tokens.
    pub realm: String,
    /// What it calls the registry.
    pub service: String,
    /// What a token is to be asked for.
    pub scope: Option<String>,
}

impl Challenge {
    /// The first way to get a token that the header names.
    pub fn parse(header: &str) -> Option<Self> {
        let mut is_bearer = false;
        let mut parameters: Vec<(String, String)> = Vec::new();
        for item in items(header) {
            let (scheme, parameter) = split(item);
            if let Some(scheme) = scheme {
                if let Some(found) = Self::of(&parameters) {
                    return Some(found);
                }
                parameters.clear();
                is_bearer = scheme.eq_ignore_ascii_case("bearer");
            }
            if is_bearer && let Some((name, value)) = parameter.split_once('=') {
                parameters.push((name.trim().to_ascii_lowercase(), unquoted(value.trim())));
            }
        }
        Self::of(&parameters)
    }

    fn of(parameters: &[(String, String)]) -> Option<Self> {
        let value = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, v)| v.clone());
        let (service, scope) = (value("service").unwrap_or_default(), value("scope"));
        Some(Self { realm: value("realm")?, service, scope })
    }
}

/// What commas separate, but for those between quotes.
fn items(header: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_comma = move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    };
    header.split(is_comma).map(str::trim).filter(|item| !item.is_empty())
}

/// The scheme that an item begins with, if it begins one, and its parameter.
fn split(item: &str) -> (Option<&str>, &str) {
    match item.split_once([' ', '\t']) {
        // A parameter with blanks around its equals sign
        Some((first, rest)) if first.contains('=') || rest.trim_start().starts_with('=') => (None, item),
        Some((scheme, rest)) => (Some(scheme), rest.trim_start()),
        None if item.contains('=') => (None, item),
        None => (Some(item), ""),
    }
}

/// A value without its quotes and what escapes within them.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let mut text = String::new();
    let mut chars = inner.strip_suffix('"').unwrap_or(inner).chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_where_tokens_come_from() {
        let docker = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
                      scope=\"repository:a/b:pull,push\"";
        let found = Challenge::parse(docker).unwrap();
        assert_eq!((&*found.realm, &*found.service), ("https://auth.docker.io/token", "registry.docker.io"));
        assert_eq!(found.scope.as_deref(), Some("repository:a/b:pull,push"));
        for none in [
            "Basic realm=\"x\"",
            "Bearer service=\"x\"",
            "Bearer",
            "",
            ",=,\"",
            "Basic realm=\"Bearer realm=x\"",
        ] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }

    #[test]
    fn one_header_may_name_several_ways_to_log_in() {
        for header in [
            "Basic realm=\"a, b\", Bearer realm=\"https://r/t\",service=\"s\"",
            "Bearer realm=\"https://r/t\", service=\"s\", Basic realm=\"x\", charset=\"UTF-8\"",
            "Negotiate, bearer Realm = \"https://r/t\" , service = s",
            "Bearer realm=\"https://r/t\",service=\"\\s\",Negotiate",
            "Bearer error=\"x\", Bearer realm=\"https://r/t\", service=\"s\"",
        ] {
            let found = Challenge::parse(header).unwrap();
            assert_eq!((&*found.realm, &*found.service), ("https://r/t", "s"), "{header}");
        }
    }
}
