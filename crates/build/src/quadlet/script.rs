//! The files that a declared container becomes: a service of OpenRC, the script that it supervises, a check of its health.
//!
//! Every text of the file that gets into one of them is one quoted word of a shell. Names need no quotes: [`is_name`].
//!
//! [`is_name`]: super::is_name

use std::fmt::Write as _;

use hoopy_base::shell::quoted;
use sha2::{Digest as _, Sha256};

use super::{Container, Dependency};

/// What the scripts share: where it goes, and its text.
pub const SHARED: (&str, &str) = ("usr/libexec/hoopy/containers.sh", include_str!("containers.sh"));

/// A file of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFile {
    /// Its path in the image.
    pub path: String,
    /// Its text. All are executable.
    pub text: String,
}

/// The files of a container.
pub fn files(container: &Container) -> Vec<ServiceFile> {
    let service = &container.service;
    let mut files = vec![
        ServiceFile { path: format!("etc/init.d/{service}"), text: init_script(container) },
        ServiceFile { path: program(container), text: run_script(container) },
    ];
    if let Some(health) = &container.health {
        let path = format!("etc/hoopy/health.d/container-{service}");
        files.push(ServiceFile { path, text: health_script(container, health.retries) });
    }
    files
}

fn program(container: &Container) -> String {
    format!("usr/libexec/hoopy/containers/{}", container.service)
}

fn init_script(container: &Container) -> String {
    let Container { service, name, stop_timeout, respawn_delay, .. } = container;
    let description = container.description.as_deref().unwrap_or("A container");
    let mut needs = vec!["\tneed localmount cgroups".to_owned()];
    needs.push(
        "\tafter bootmisc hoopy-state hoopy-secrets hoopy-unlock net firewall iptables nftables".to_owned(),
    );
    for kind in [Dependency::Need, Dependency::Want, Dependency::After, Dependency::Before] {
        let named = container.dependencies.iter().filter(|(other, ..)| *other == kind);
        let named: Vec<&str> = named.map(|(_, service, _)| service.as_str()).collect();
        if !named.is_empty() {
            needs.push(format!("\t{} {}", kind.word(), named.join(" ")));
        }
    }
    format!(
        "#!/sbin/openrc-run\n\
         # Made by hoopy of /{}/{service}{}\n\n\
         description={}\n\
         supervisor=supervise-daemon\n\
         command=/{}\n\
         respawn_delay={respawn_delay}\n\
         respawn_max=0\n\
         retry=TERM/{}/KILL/5\n\n\
         depend() {{\n{}\n}}\n\n\
         # What is left where podman was killed before its container\n\
         stop_post() {{\n\tpodman stop --ignore --time {stop_timeout} {name} >/dev/null 2>&1\n\treturn 0\n}}\n",
        super::DIRECTORY,
        super::EXTENSION,
        quoted(description),
        program(container),
        stop_timeout + 5,
        needs.join("\n"),
    )
}

fn run_script(container: &Container) -> String {
    let Container { service, name, image, .. } = container;
    let image = quoted(&image.to_string());
    let mut words = vec![format!("--name={name}"), format!("--label=hoopy.made-of={}", made_of(container))];
    words.extend(container.options.iter().map(|option| quoted(option)));
    words.push(image.clone());
    words.extend(container.command.iter().map(|word| quoted(word)));
    let archive = quoted(container.archive.as_deref().unwrap_or_default());
    format!(
        "#!/bin/sh\n\
         # Made by hoopy: runs the container of the service {service} until it ends.\n\
         service={service} container={name} image={image} archive={archive} made_of={}\n\
         . /{}\n\n\
         create() {{\n\tpodman create {}\n}}\n\n\
         run_container\n",
        made_of(container),
        SHARED.0,
        words.join(" \\\n\t\t"),
    )
}

/// Fails where the command does, so often. What does not run yet is waited for: how long in all, the caller says.
fn health_script(container: &Container, retries: u32) -> String {
    let name = &container.name;
    format!(
        "#!/bin/sh\n\
         # Made by hoopy: fails where HealthCmd of the container {name} fails {retries} times. It waits for one that does not run yet:\n\
         # HEALTH_TIMEOUT in /etc/conf.d/hoopy-health says how long.\n\
         tries=0\n\
         until podman healthcheck run {name}; do\n\
         \tif [ \"$(podman container inspect --format '{{{{.State.Running}}}}' {name} 2>/dev/null)\" = true ]; then\n\
         \t\ttries=$((tries + 1))\n\
         \tfi\n\
         \t[ \"$tries\" -lt {retries} ] || exit 1\n\
         \tsleep 5\n\
         done\n"
    )
}

/// Changes when the container must be made anew.
fn made_of(container: &Container) -> String {
    let mut hasher = Sha256::new();
    let (image, between) = (container.image.to_string(), String::new());
    let options = container.options.iter().chain([&between]);
    for word in std::iter::once(&image).chain(options).chain(&container.command) {
        hasher.update((word.len() as u64).to_le_bytes());
        hasher.update(word);
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
