//! The page where volumes are unlocked.

use hoopy_base::markup::escaped;

/// Its script.
pub const SCRIPT: &str = include_str!("unlock.js");

/// The page.
pub fn html(host: &str, volumes: &[String]) -> String {
    let host = escaped(host);
    let volume = |name: &String| {
        let name = escaped(name);
        format!(
            "<section class=\"volume\" data-volume=\"{name}\" aria-labelledby=\"v-{name}\">\n<h2 id=\"v-{name}\">{name}</h2>\n\
            <p class=\"state\" role=\"status\">…</p>\n<p class=\"buttons\"></p>\n\
            <details><summary>Add a passkey</summary>\n<form class=\"enroll\" autocomplete=\"off\">\n\
            <p>The passkey will be able to unlock this volume. Its key is encrypted for the passkey; this machine keeps neither.</p>\n\
            <p><label>Name of the passkey <input name=\"name\" required pattern=\"[a-z0-9][a-z0-9._\\-]*\" maxlength=\"40\" \
            placeholder=\"phone\"></label></p>\n\
            <p><label>Key of the volume <input name=\"key\" type=\"password\" autocomplete=\"off\"></label></p>\n\
            <p><label>or the file that holds it <input name=\"file\" type=\"file\"></label></p>\n\
            <p><button type=\"submit\">Add</button></p>\n</form>\n<div class=\"added\" role=\"status\"></div>\n</details>\n</section>\n"
        )
    };
    let volumes: String = match volumes.len() {
        0 => "<p>This machine has no volumes to unlock: it has no programs in /etc/hoopy/unlock.d.</p>\n"
            .to_owned(),
        _ => volumes.iter().map(volume).collect(),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{host}: unlock</title>\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
        <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"/icon.svg\">\n\
        <link rel=\"stylesheet\" href=\"/style.css\">\n<script src=\"/unlock.js\" defer></script>\n</head>\n<body>\n\
        <h1>Unlock {host}</h1>\n<main>\n\
        <p id=\"hint\" class=\"notice\" hidden>Browsers have passkeys only where they trust the page: at a name whose certificate \
        they trust, or at localhost. Run <code>hoopy unlock HOST --passkey</code> on your computer, which opens this page there.</p>\n\
        <noscript><p class=\"notice\">Passkeys need JavaScript. <code>hoopy unlock HOST NAME</code> unlocks a volume without a browser.</p></noscript>\n\
        {volumes}</main>\n<footer><a href=\"/\">Machine status</a></footer>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_markup() {
        let page = html("<b>&\"", &["<img src=x>\"'".to_owned()]);
        assert!(!page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(!page.contains("://") && !page.contains("style="), "{page}");
    }
}
