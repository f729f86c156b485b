//! One `*.container` file, read: the arguments for podman, and the settings of the service for OpenRC.

use super::keys::{self, Use};
use super::unit::{self, Assignment};
use super::values::{Wrong, absolute, boolean, literal_words, number, seconds, service_of, volume, wrong};
use super::words::{literal, split};
use super::{Image, PIN, UnitError, is_name, is_service_name};

/// How long podman waits for a container to stop before it kills it, unless the file says otherwise: as podman does.
const STOP_TIMEOUT: u32 = 10;

/// How long a service waits before it starts a container again, unless the file says otherwise.
const RESPAWN_DELAY: u32 = 2;

/// How often `HealthCmd` is tried before the boot counts as bad, unless the file says otherwise: as podman does.
const RETRIES: u32 = 3;

/// How services depend on each other: OpenRC's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// It does not start without the other.
    Need,
    /// The other is started too.
    Want,
    /// It starts later than the other, where that starts at all.
    After,
    /// It starts earlier.
    Before,
}

impl Dependency {
    /// OpenRC's word (openrc-run(8)).
    pub fn word(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Want => "want",
            Self::After => "after",
            Self::Before => "before",
        }
    }
}

/// `HealthCmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How often it may fail, some seconds apart.
    pub retries: u32,
}

/// A container that is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The service: the file's name without its end.
    pub service: String,
    /// The container.
    pub name: String,
    /// Its image.
    pub image: Image,
    /// An archive on the machine that the image is taken from, where it is there.
    pub archive: Option<String>,
    /// Options of `podman create`.
    pub options: Vec<String>,
    /// The command within; none for the image's own.
    pub command: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// On which services it depends, with the lines that say so.
    pub dependencies: Vec<(Dependency, String, usize)>,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Seconds before it is started again.
    pub respawn_delay: u32,
    /// Seconds that it has to stop in.
    pub stop_timeout: u32,
    /// How its health is asked.
    pub health: Option<Health>,
}

/// Reads the file of the service `service`.
///
/// # Errors
/// All that is wrong with it, by line.
pub fn read(service: &str, text: &[u8]) -> Result<Container, Vec<UnitError>> {
    let (assignments, errors) = unit::parse(text);
    let mut reader = Reader::new(service, errors);
    for assignment in &assignments {
        if let Err((message, fix)) = reader.assignment(assignment) {
            reader.errors.push(UnitError::at(assignment.line, message, &fix));
        }
    }
    reader.finish(service)
}

struct Reader {
    errors: Vec<UnitError>,
    container: Container,
    image: Option<Image>,
    user: Option<String>,
    group: Option<(usize, String)>,
    health: Option<String>,
    retries: u32,
    /// The option that each key gave, so that a later line can take its place.
    options: Vec<(String, String)>,
}

impl Reader {
    fn new(service: &str, mut errors: Vec<UnitError>) -> Self {
        if !is_service_name(service) {
            let found = format!(
                "expected a name of letters, digits, `_`, `.` and `-`, not `hoopy-...` nor `....sh`, found {service:?}"
            );
            errors.push(UnitError::new(None, found, "rename the file: the service is called like it"));
        }
        let image = Image::default();
        let container = Container {
            service: service.to_owned(),
            name: service.to_owned(),
            image,
            archive: None,
            options: Vec::new(),
            command: Vec::new(),
            description: None,
            dependencies: Vec::new(),
            enabled: false,
            respawn_delay: RESPAWN_DELAY,
            stop_timeout: STOP_TIMEOUT,
            health: None,
        };
        let (image, user, group, health) = (None, None, None, None);
        Self { errors, container, image, user, group, health, retries: RETRIES, options: Vec::new() }
    }

    fn assignment(&mut self, line: &Assignment) -> Result<(), Wrong> {
        let (key, value) = (line.key.as_str(), line.value.as_str());
        match line.section.as_str() {
            "Container" => self.container_key(line),
            "Unit" => self.unit_key(line),
            "Service" => self.service_key(key, value),
            "Install" => self.install_key(key, value),
            "X-Hoopy" => self.hoopy_key(key, value),
            // systemd passes over these; so does podman
            other if other.starts_with("X-") => Ok(()),
            other => Err(wrong(format!(
                "expected [Container], [Unit], [Service], [Install] or [X-Hoopy], found [{other}]"
            ))),
        }
    }

    fn container_key(&mut self, line: &Assignment) -> Result<(), Wrong> {
        let (key, value) = (line.key.as_str(), line.value.as_str());
        let Some(what) = keys::find(key) else {
            let near = keys::nearest(key).map(|near| format!("; is it {near}?")).unwrap_or_default();
            return Err(wrong(format!("expected a key of [Container], found {key:?}{near}")));
        };
        if let Use::Refused(why) = what {
            return Err((format!("{key} is refused: {why}"), "remove the line".to_owned()));
        }
        if value.is_empty() {
            return self.forget(key);
        }
        match what {
            Use::One(option) => {
                self.options.retain(|(other, _)| other != key);
                self.add(key, option, value)
            }
            Use::Each(option) => self.add(key, option, value),
            Use::Words(option) => {
                let words = split(value).map_err(wrong)?;
                words.iter().try_for_each(|word| self.add(key, option, word))
            }
            Use::Flag(option) => {
                self.options.retain(|(other, _)| other != key);
                let value = boolean(key, value)?;
                self.add(key, option, if value { "true" } else { "false" })
            }
            Use::Security(name) => self.add(key, "security-opt", &format!("{name}={value}")),
            Use::Own => self.own_key(line),
            Use::Refused(_) => Ok(()),
        }
    }

    /// An empty value takes back what lines before it said (systemd.syntax(7)).
    fn forget(&mut self, key: &str) -> Result<(), Wrong> {
        self.options.retain(|(other, _)| other != key);
        match key {
            "Image" | "ContainerName" => Err(wrong(format!("expected a value after {key}=, found none"))),
            "Exec" => {
                self.container.command.clear();
                Ok(())
            }
            "User" => {
                self.user = None;
                Ok(())
            }
            "Group" => {
                self.group = None;
                Ok(())
            }
            "HealthCmd" => {
                self.health = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, key: &str, option: &str, value: &str) -> Result<(), Wrong> {
        let value = literal(value).map_err(wrong)?;
        self.options.push((key.to_owned(), format!("--{option}={value}")));
        Ok(())
    }

    fn own_key(&mut self, line: &Assignment) -> Result<(), Wrong> {
        let (key, value) = (line.key.as_str(), line.value.as_str());
        match key {
            "Image" => self.image = Some(Image::parse(value).map_err(|error| (error, PIN.to_owned()))?),
            "ContainerName" if is_name(value) => value.clone_into(&mut self.container.name),
            "ContainerName" => {
                return Err(wrong(format!("expected letters, digits, `_`, `.` and `-`, found {value:?}")));
            }
            "Exec" => self.container.command = literal_words(value)?,
            "PodmanArgs" => self.podman_args(key, value)?,
            "EnvironmentFile" => {
                absolute(key, value)?;
                self.add(key, "env-file", value)?;
            }
            "Volume" => {
                volume(value)?;
                self.add(key, "volume", value)?;
            }
            "Network" => {
                if value.ends_with(".network") || value.contains(".network:") || value.contains(".container")
                {
                    let fix =
                        "write it as root/etc/containers/networks/NAME.json, and Network=NAME".to_owned();
                    return Err((format!("expected the name of a network, found {value:?}"), fix));
                }
                self.add(key, "network", value)?;
            }
            "NoNewPrivileges" => {
                self.options.retain(|(other, _)| other != key);
                if boolean(key, value)? {
                    self.add(key, "security-opt", "no-new-privileges")?;
                }
            }
            "User" => self.user = Some(literal(value).map_err(wrong)?),
            "Group" => self.group = Some((line.line, literal(value).map_err(wrong)?)),
            "HealthCmd" => self.health = Some(literal(value).map_err(wrong)?),
            "HealthRetries" => self.retries = number(key, value)?.max(1),
            "StopTimeout" => self.container.stop_timeout = seconds(key, value)?,
            _ => return Err(wrong(format!("expected a key of [Container], found {key:?}"))),
        }
        Ok(())
    }

    /// Options of podman that no key stands for.
    fn podman_args(&mut self, key: &str, value: &str) -> Result<(), Wrong> {
        for word in literal_words(value)? {
            if !word.starts_with("--") || !word.contains('=') {
                let fix = "write --option=value, one word for each".to_owned();
                return Err((format!("expected --option=value, found {word:?}"), fix));
            }
            if word.starts_with("--name=") {
                // The service looks for the name that it knows.
                let fix = "write ContainerName=".to_owned();
                return Err((format!("expected another option, found {word:?}"), fix));
            }
            self.options.push((key.to_owned(), word));
        }
        Ok(())
    }

    fn unit_key(&mut self, line: &Assignment) -> Result<(), Wrong> {
        let dependency = match line.key.as_str() {
            "Description" => {
                self.container.description = Some(literal(&line.value).map_err(wrong)?);
                return Ok(());
            }
            "Documentation" => return Ok(()),
            "After" => Dependency::After,
            "Before" => Dependency::Before,
            "Requires" | "BindsTo" => Dependency::Need,
            "Wants" => Dependency::Want,
            other => {
                return Err(wrong(format!(
                    "expected Description, Documentation, After, Before, Requires, BindsTo or Wants in [Unit], found {other:?}: \
                     OpenRC has nothing like it"
                )));
            }
        };
        for word in split(&line.value).map_err(wrong)? {
            let service = service_of(&word).map_err(wrong)?;
            self.container.dependencies.push((dependency, service, line.line));
        }
        Ok(())
    }

    fn service_key(&mut self, key: &str, value: &str) -> Result<(), Wrong> {
        match (key, value) {
            ("Restart", "always") => Ok(()),
            ("Restart", _) => Err((
                format!(
                    "expected Restart=always, found {value:?}: the service starts its container again whenever it ends"
                ),
                "write Restart=always, or leave the line out".to_owned(),
            )),
            ("RestartSec", _) => {
                self.container.respawn_delay = seconds(key, value)?;
                Ok(())
            }
            (other, _) => Err(wrong(format!(
                "expected Restart or RestartSec in [Service], found {other:?}: there is no systemd to do it"
            ))),
        }
    }

    fn install_key(&mut self, key: &str, value: &str) -> Result<(), Wrong> {
        let is_known = |word: &str| matches!(word, "default.target" | "multi-user.target");
        if key != "WantedBy" || value.is_empty() || !value.split_whitespace().all(is_known) {
            return Err((
                format!("expected WantedBy=default.target in [Install], found {key}={value}"),
                "write WantedBy=default.target, which is the runlevel default; without [Install] the service is not \
                 started at boot"
                    .to_owned(),
            ));
        }
        self.container.enabled = true;
        Ok(())
    }

    fn hoopy_key(&mut self, key: &str, value: &str) -> Result<(), Wrong> {
        if key != "Archive" {
            return Err(wrong(format!("expected Archive in [X-Hoopy], found {key:?}")));
        }
        absolute(key, value)?;
        self.container.archive = Some(value.to_owned());
        Ok(())
    }

    fn finish(mut self, service: &str) -> Result<Container, Vec<UnitError>> {
        if let Some((line, group)) = self.group.take() {
            match &mut self.user {
                Some(user) if !user.contains(':') => user.extend([":", &group]),
                _ => {
                    let found = "expected User= without a group beside Group=".to_owned();
                    self.errors.push(UnitError::at(line, found, "write User=NAME and Group=NAME"));
                }
            }
        }
        if self.image.is_none() && !self.errors.iter().any(|error| error.fix == PIN) {
            let found = "expected Image= in [Container], found none".to_owned();
            self.errors.push(UnitError::new(None, found, PIN));
        }
        let mut options: Vec<String> = self.options.into_iter().map(|(_, option)| option).collect();
        options.extend(self.user.map(|user| format!("--user={user}")));
        if let Some(command) = self.health {
            options.push(format!("--health-cmd={command}"));
            // Otherwise podman asks systemd for a timer
            options.push("--health-interval=disable".to_owned());
            self.container.health = Some(Health { retries: self.retries });
        }
        options.push(format!("--stop-timeout={}", self.container.stop_timeout));
        let image = self.image.unwrap_or_else(|| self.container.image.clone());
        let container = Container { service: service.to_owned(), image, options, ..self.container };
        if self.errors.is_empty() { Ok(container) } else { Err(self.errors) }
    }
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
