//! The package for Debian and Ubuntu (deb(5)): an `ar` archive of a version, a control archive and the files.

use super::Release;
use super::files::{DOCUMENT_DIR, File, packed};
use super::tarball::archive;

/// Where zsh looks for completions, and where Debian's zsh looks for those of packages.
const ZSH: (&str, &str) = ("share/zsh/site-functions/", "share/zsh/vendor-completions/");

/// `hoopy_VERSION_amd64.deb`.
pub fn file_name(release: &Release) -> String {
    format!("hoopy_{}_{}.deb", release.version, architecture(release))
}

/// The whole file.
pub fn write(release: &Release) -> anyhow::Result<Vec<u8>> {
    let control = [File { path: "control".to_owned(), mode: 0o644, content: control(release).into_bytes() }];
    let mut out = b"!<arch>\n".to_vec();
    member(&mut out, "debian-binary", b"2.0\n", release.epoch);
    member(&mut out, "control.tar.gz", &packed(&archive(&control, "./", release.epoch)?)?, release.epoch);
    let data = packed(&archive(&files(release), "./usr/", release.epoch)?)?;
    member(&mut out, "data.tar.gz", &data, release.epoch);
    Ok(out)
}

fn architecture(release: &Release) -> &str {
    if release.arch == "aarch64" { "arm64" } else { "amd64" }
}

fn files(release: &Release) -> Vec<File> {
    let mut files = release.files.clone();
    for file in &mut files {
        if let Some(rest) = file.path.strip_prefix(ZSH.0) {
            file.path = format!("{}{rest}", ZSH.1);
        }
    }
    // Debian's policy requires the licenses in a file of this name.
    let terms = files.iter().filter(|file| file.path.contains("/LICENSE-"));
    let content = terms.flat_map(|file| [&b"\n"[..], &file.content].concat()).collect();
    files.push(File { path: format!("{DOCUMENT_DIR}/copyright"), mode: 0o644, content });
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn control(release: &Release) -> String {
    let size = release.files.iter().map(|file| file.content.len().div_ceil(1024)).sum::<usize>();
    let qemu =
        if release.arch == "aarch64" { "qemu-system-arm, qemu-efi-aarch64" } else { "qemu-system-x86, ovmf" };
    format!(
        "Package: hoopy\n\
         Version: {}\n\
         Architecture: {}\n\
         Maintainer: The hoopy authors\n\
         Installed-Size: {size}\n\
         Recommends: ca-certificates, git, openssh-client, uidmap, {qemu}, ipxe-qemu\n\
         Suggests: btrfs-progs, e2fsprogs, qemu-user-static, swtpm, xfsprogs\n\
         Section: admin\n\
         Priority: optional\n\
         Description: Alpine Linux machines in one bootable file\n \
         hoopy turns a directory in git into a whole Alpine Linux machine in one\n \
         bootable file, tests it, ships it over ssh, and brings the previous one\n \
         back when it misbehaves.\n",
        release.version,
        architecture(release),
    )
}

/// A member of an `ar` archive: a header of 60 bytes, and contents that begin at even places.
fn member(out: &mut Vec<u8>, name: &str, content: &[u8], epoch: u64) {
    let head = format!("{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, "100644", content.len());
    out.extend(head.as_bytes());
    out.extend(content);
    if content.len() % 2 == 1 {
        out.push(b'\n');
    }
}
