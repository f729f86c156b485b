//! Declared containers as a layer: a service of OpenRC for each `*.container` file, wherever that comes from, `root/` or
//! `setup.sh`. Nothing is added to a system without such files.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_lock::LockedImage;
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Stack, StackError};
use crate::quadlet::{self, Container, Dependency, UnitError};

/// The program that all of it calls.
const PODMAN: &str = "usr/bin/podman";

/// Containers that cannot become services.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// A file that cannot be understood.
    #[error("root/{path}{}: {message}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    File {
        /// The file.
        path: EntryPath,
        /// Its line.
        line: Option<usize>,
        /// What was expected and what was found.
        message: String,
        /// What to do about it.
        fix: String,
    },
    /// There is no OpenRC, or no podman.
    #[error("root/{directory}: declared containers need {what}, and no package brings /{path}", directory = quadlet::DIRECTORY)]
    Missing {
        /// Which of them.
        what: &'static str,
        /// What is looked for.
        path: &'static str,
    },
}

impl ContainerError {
    fn file(path: &EntryPath, error: UnitError) -> Self {
        Self::File { path: path.clone(), line: error.line, message: error.message, fix: error.fix }
    }

    fn of(path: &EntryPath, line: Option<usize>, message: String, fix: &str) -> Self {
        Self::File { path: path.clone(), line, message, fix: fix.to_owned() }
    }
}

/// Makes the layer that goes over `stack`; none where nothing is declared.
///
/// # Errors
/// [`StackError`].
pub fn layer(
    stack: &Stack,
    images: &[LockedImage],
    epoch: u64,
    store: &Store,
) -> Result<Option<Layer>, StackError> {
    let mut declared = declared(stack, store)?;
    if declared.is_empty() {
        return Ok(None);
    }
    if !stack.has_openrc() {
        return Err(ContainerError::Missing { what: "OpenRC", path: super::OPENRC }.into());
    }
    if stack.tree.follow(&EntryPath::new(PODMAN)?).is_none() {
        return Err(ContainerError::Missing { what: "podman", path: PODMAN }.into());
    }
    check(&declared, stack)?;
    for (path, container) in &mut declared {
        if !container.image.pin(images) {
            let found = format!("expected an image whose digest is in the lock, found {}", container.image);
            let fix = "write its digest, Image=NAME@sha256:DIGEST: the lock has those of files in root/ that are reached without links";
            return Err(ContainerError::of(path, None, found, fix).into());
        }
    }
    let mut builder = Builder::new(store, epoch);
    let (path, text) = quadlet::SHARED;
    builder.add_bytes(&EntryPath::new(path)?, 0o644, text.as_bytes())?;
    for container in declared.values() {
        for file in quadlet::files(container) {
            builder.add_bytes(&EntryPath::new(file.path)?, 0o755, file.text.as_bytes())?;
        }
        if container.enabled {
            let service = &container.service;
            let link = EntryPath::new(format!("etc/runlevels/default/{service}"))?;
            builder.add(&link, Kind::Symlink(format!("/etc/init.d/{service}").into_bytes()), 0o777);
        }
    }
    Ok(Some(builder.finish(store)?))
}

/// The containers, by the paths of their files.
fn declared(stack: &Stack, store: &Store) -> Result<BTreeMap<EntryPath, Container>, StackError> {
    let mut found = BTreeMap::new();
    let directory = EntryPath::new(quadlet::DIRECTORY)?;
    // It may be a link itself, or lie behind one.
    let Some(directory) = stack.tree.follow(&directory).map(|entry| entry.path.clone()) else {
        return Ok(found);
    };
    let files: Vec<(EntryPath, Kind)> =
        stack.tree.below(&directory).map(|(path, entry)| (path.clone(), entry.kind.clone())).collect();
    for (path, kind) in files {
        let name = String::from_utf8_lossy(path.name()).into_owned();
        if let Some((message, fix)) = quadlet::refused_file(&path.to_string()) {
            return Err(ContainerError::of(&path, None, message, fix).into());
        }
        let leads_to = stack.tree.follow(&path);
        if matches!(kind, Kind::Symlink(_)) && leads_to.is_some_and(Entry::is_dir) {
            return Err(
                ContainerError::of(&path, None, quadlet::LINKED.0.to_owned(), quadlet::LINKED.1).into()
            );
        }
        let Some(service) = name.strip_suffix(quadlet::EXTENSION) else { continue };
        if let Some(size) = leads_to.map(Entry::size).filter(|size| *size > quadlet::MAX_FILE as u64) {
            return Err(ContainerError::file(&path, UnitError::too_long(size)).into());
        }
        let Some(text) = stack.read(&path, store)? else {
            let message = "expected a file, found a directory, or a link that leads to none".to_owned();
            return Err(ContainerError::of(&path, None, message, "write the file, or remove the link").into());
        };
        let mut errors = match quadlet::read(service, &text) {
            Ok(container) => {
                found.insert(path, container);
                continue;
            }
            Err(errors) => errors.into_iter(),
        };
        if let Some(error) = errors.next() {
            return Err(ContainerError::file(&path, error).into());
        }
    }
    Ok(found)
}

/// Names that are taken, and services that are needed and nowhere.
fn check(declared: &BTreeMap<EntryPath, Container>, stack: &Stack) -> Result<(), StackError> {
    let is_service = |name: &str| {
        EntryPath::new(format!("etc/init.d/{name}")).is_ok_and(|path| stack.tree.follow(&path).is_some())
    };
    let services: BTreeSet<&str> = declared.values().map(|container| container.service.as_str()).collect();
    let mut names: BTreeMap<&str, &EntryPath> = BTreeMap::new();
    for (path, container) in declared {
        let of = |line, message: String, fix| Err(ContainerError::of(path, line, message, fix).into());
        if is_service(&container.service) {
            let found = format!(
                "expected a name of its own, found {0}, which is /etc/init.d/{0} already",
                container.service
            );
            return of(None, found, "rename the file: the service is called like it");
        }
        if let Some(other) = names.insert(&container.name, path) {
            let found = format!("expected a name of its own, found {}, as in root/{other}", container.name);
            return of(None, found, "write another ContainerName=");
        }
        for (kind, name, line) in &container.dependencies {
            let is_there = name == "net" || services.contains(name.as_str()) || is_service(name);
            if *kind == Dependency::Need && !is_there {
                let found = format!("expected a service of this image, found {name}");
                return of(Some(*line), found, "name a file beside this one, or a service of /etc/init.d");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::stack::Origin;

    const IMAGE: &str =
        "Image=localhost/demo@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn layer_of(store: &Store, files: &[(&str, &str)]) -> Result<Option<Layer>, String> {
        let mut stack = Stack::default();
        let mut below = Builder::new(store, 0);
        for (path, text) in files {
            below.add_bytes(&EntryPath::new(path).unwrap(), 0o755, text.as_bytes()).unwrap();
        }
        stack.push(below.finish(store).unwrap(), Origin::Files);
        layer(&stack, &[], 0, store).map_err(|error| error.to_string())
    }

    fn link(layer: &mut Builder, path: &str, target: &str) {
        layer.add(&EntryPath::new(path).unwrap(), Kind::Symlink(target.as_bytes().to_vec()), 0o777);
    }

    #[test]
    fn containers_behind_links_are_found_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let text = format!("[Container]\n{IMAGE}\n");
        let with = |path: &str, links: &[(&str, &str)]| {
            let mut stack = Stack::default();
            let mut below = Builder::new(&store, 0);
            for (path, text) in BASE.iter().chain(&[(path, text.as_str())]) {
                below.add_bytes(&EntryPath::new(path).unwrap(), 0o755, text.as_bytes()).unwrap();
            }
            links.iter().for_each(|(path, target)| link(&mut below, path, target));
            stack.push(below.finish(&store).unwrap(), Origin::Files);
            layer(&stack, &[], 0, &store).map_err(|error| error.to_string())
        };
        let at = quadlet::DIRECTORY;
        let has_web = |layer: Option<Layer>| {
            layer.unwrap().entries.iter().any(|entry| entry.path.as_bytes() == b"etc/init.d/web")
        };
        assert!(has_web(with("srv/web.container", &[(at, "../../srv")]).unwrap()));
        assert!(has_web(with("srv/x", &[(&format!("{at}/web.container"), "/srv/x")]).unwrap()));
        let error = with("srv/web.container", &[(&format!("{at}/more"), "/srv")]).unwrap_err();
        assert!(
            error.contains("systemd/more: expected files of containers, found a link to a dir"),
            "{error}"
        );
    }

    const BASE: [(&str, &str); 2] = [("sbin/openrc-run", "x"), (PODMAN, "x")];

    #[test]
    fn a_declared_container_becomes_a_service_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(layer_of(&store, &BASE).unwrap().is_none());
        let web = format!("[Container]\n{IMAGE}\nHealthCmd=true\n[Install]\nWantedBy=default.target\n");
        let notes = format!("[Container]\n{IMAGE}\n");
        let files = [
            ("etc/containers/systemd/web.container", web.as_str()),
            ("etc/containers/systemd/notes.container", notes.as_str()),
            ("etc/containers/systemd/README", "no unit"),
        ];
        let layer = layer_of(&store, &[&BASE[..], &files].concat()).unwrap().unwrap();
        let is_dir = |kind: &Kind| matches!(kind, Kind::Dir { .. });
        let paths = layer.entries.iter().filter(|e| !is_dir(&e.kind)).map(|e| e.path.to_string());
        let paths: Vec<String> = paths.collect();
        let expected = [
            "etc/hoopy/health.d/container-web",
            "etc/init.d/notes",
            "etc/init.d/web",
            "etc/runlevels/default/web",
            "usr/libexec/hoopy/containers/notes",
            "usr/libexec/hoopy/containers/web",
            "usr/libexec/hoopy/containers.sh",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_cannot_become_a_service_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let good = format!("[Container]\n{IMAGE}\n");
        let bad = format!("[Container]\n{IMAGE}\nPod=x.pod\n");
        let needs = format!("[Container]\n{IMAGE}\n[Unit]\nRequires=nothing.service\n");
        let same = format!("[Container]\n{IMAGE}\nContainerName=web\n");
        let at = |name: &str| format!("etc/containers/systemd/{name}");
        let (web, other, volume) = (at("web.container"), at("other.container"), at("data.volume"));
        for (files, found) in [
            (vec![BASE[0], (&web, &good)], "declared containers need podman"),
            (vec![BASE[1], (&web, &good)], "declared containers need OpenRC"),
            (
                vec![BASE[0], BASE[1], (&web, &bad)],
                "root/etc/containers/systemd/web.container:3: Pod is refused",
            ),
            (
                vec![BASE[0], BASE[1], (&web, &needs)],
                "web.container:4: expected a service of this image, found nothing",
            ),
            (
                vec![BASE[0], BASE[1], ("etc/init.d/web", "x"), (&web, &good)],
                "which is /etc/init.d/web already",
            ),
            (vec![BASE[0], BASE[1], (&web, &good), (&other, &same)], "found web, as in root/etc"),
            (vec![BASE[0], BASE[1], (&volume, "")], "data.volume: expected *.container"),
        ] {
            let error = layer_of(&store, &files).unwrap_err();
            assert!(error.contains(found), "{found}: {error}");
        }
    }
}
