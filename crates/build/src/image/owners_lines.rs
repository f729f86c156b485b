//! The owner's lines of `config.txt`, as the firmware of a Raspberry Pi is to read them.
//!
//! The firmware takes included files from the card itself, where those of an image do not lie: an image has a directory of
//! its own. So what a line `include FILE` names is put in the place of the line, from `root/boot/FILE`.

use super::ImageError;

/// The file.
pub const CONFIG: &str = "config.txt";

/// How deep files may include others, as the firmware's model has it.
const INCLUDES: usize = 8;

/// How long all lines may be: the firmware's own examples have a few thousand bytes.
const MAX_TEXT: usize = 256 << 10;

/// Reads a file of `root/boot/`.
type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, ImageError>;

/// `config` with what its lines include.
///
/// # Errors
/// [`ImageError::BoardLine`], and what `read` fails with.
pub fn with_includes(config: &[u8], read: ReadFile<'_>) -> Result<String, ImageError> {
    let mut text = String::new();
    take(CONFIG, config, read, 0, &mut text)?;
    Ok(text)
}

fn take(
    file: &str,
    content: &[u8],
    read: ReadFile<'_>,
    depth: usize,
    text: &mut String,
) -> Result<(), ImageError> {
    for line in String::from_utf8_lossy(content).lines() {
        let word = line.trim().strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']));
        let Some(name) = word.map(str::trim) else {
            text.push_str(line);
            text.push('\n');
            if text.len() > MAX_TEXT {
                let long = format!(
                    "{CONFIG}: expected at most {MAX_TEXT} bytes with all that it includes, found more"
                );
                return Err(ImageError::BoardLine(long));
            }
            continue;
        };
        let at = format!("{file}: `include {name}`");
        if depth == INCLUDES {
            return Err(ImageError::BoardLine(format!(
                "{at}: files include each other more than {INCLUDES} deep"
            )));
        }
        let Some(included) = read(name)? else {
            return Err(ImageError::BoardLine(format!("{at}: expected a file root/boot/{name}, found none")));
        };
        take(name, &included, read, depth + 1, text)?;
    }
    Ok(())
}

/// What a line `device_tree=FILE` in `lines` lacks, where `has` says which files go with the image.
pub fn missing_tree(lines: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    lines.lines().find_map(|line| {
        let (key, name) = line.trim().split_once('=')?;
        let name = name.trim();
        let missing = key.trim() == "device_tree" && !name.is_empty() && !has(name);
        missing.then(|| {
            format!(
                "{CONFIG}: `device_tree={name}`: expected a device tree of this name (bcm2*.dtb) in root/boot or of the kernel's \
                 package, found none"
            )
        })
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(name: &str) -> Result<Option<Vec<u8>>, ImageError> {
        Ok(match name {
            "usercfg.txt" => Some(b"[pi4]\ndtoverlay=i2c-rtc\n[all]\ninclude more.txt".to_vec()),
            "more.txt" => Some(b"dtparam=audio=on".to_vec()),
            "loop.txt" => Some(b"include loop.txt\n".to_vec()),
            _ => None,
        })
    }

    #[test]
    fn what_is_included_stands_in_the_place_of_its_line() {
        let text = with_includes(b"# mine\n include  usercfg.txt \nincluded=1\n", &read).unwrap();
        assert_eq!(text, "# mine\n[pi4]\ndtoverlay=i2c-rtc\n[all]\ndtparam=audio=on\nincluded=1\n");
    }

    #[test]
    fn an_include_that_leads_nowhere_or_in_circles_is_refused() {
        let said = with_includes(b"include other.txt\n", &read).unwrap_err().to_string();
        assert!(
            said.contains("`include other.txt`: expected a file root/boot/other.txt, found none"),
            "{said}"
        );
        let said = with_includes(b"include loop.txt\n", &read).unwrap_err().to_string();
        assert!(said.contains("more than 8 deep"), "{said}");
    }

    #[test]
    fn a_device_tree_that_is_not_there_is_missing() {
        let has = |name: &str| name == "bcm2711-rpi-4-b.dtb";
        for fine in ["device_tree=bcm2711-rpi-4-b.dtb\n", "device_tree=\n", "#device_tree=x\n", ""] {
            assert_eq!(missing_tree(fine, has), None, "{fine}");
        }
        assert!(missing_tree("[pi4]\ndevice_tree = x.dtb\n", has).unwrap().contains("device_tree=x.dtb"));
    }
}
