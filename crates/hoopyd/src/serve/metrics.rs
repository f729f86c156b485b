//! `/metrics`, in the text format of Prometheus (its documentation: "Exposition formats", version 0.0.4).

use std::fmt::Write as _;

use hoopy_boot::status::{Severity, Status};

/// The kind of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A status as metrics.
pub fn text(status: &Status) -> String {
    let mut out = Metrics::default();
    machine(status, &mut out);
    disks(status, &mut out);
    network(status, &mut out);
    hoopy(status, &mut out);
    out.0
}

#[derive(Default)]
struct Metrics(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Metrics {
    /// A metric and its samples; nothing where it has none.
    fn add<'l>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP hoopy_{name} {help}\n# TYPE hoopy_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "hoopy_{name}{} {value}", shown(&labels));
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.add(name, "gauge", help, [(Vec::new(), value)]);
    }
}

fn shown(labels: Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let label = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    format!("{{{}}}", labels.iter().map(label).collect::<Vec<_>>().join(","))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers alone")]
fn number(value: u64) -> f64 {
    value as f64
}

fn machine(status: &Status, out: &mut Metrics) {
    out.gauge("status_time_seconds", "When the machine was looked at.", number(status.time));
    out.gauge("uptime_seconds", "Seconds since the kernel was started.", number(status.uptime));
    let memory = &status.memory;
    out.gauge("memory_total_bytes", "Memory.", number(memory.total));
    out.gauge("memory_available_bytes", "Memory that programs could still get.", number(memory.available));
    out.gauge("memory_files_bytes", "Memory of files in memory, the root among them.", number(memory.files));
    let [one, five, fifteen] = status.load;
    let loads = [("1", one), ("5", five), ("15", fifteen)];
    let loads = loads.map(|(minutes, load)| (vec![("minutes", minutes)], load));
    out.add("load", "gauge", "Processes that wanted a core.", loads);
    out.gauge("cores", "Cores.", f64::from(status.cores));
    let sensors = status.temperatures.iter().map(|t| (vec![("sensor", &*t.name)], t.celsius));
    let mut sensors: Vec<_> = sensors.collect();
    // Two chips may call their sensors the same.
    sensors.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    sensors.dedup_by(|a, b| a.0 == b.0);
    out.add("temperature_celsius", "gauge", "What a thermometer says.", sensors);
}

fn disks(status: &Status, out: &mut Metrics) {
    let files = &status.filesystems;
    let labels = |n: usize| {
        let file = files.get(n)?;
        Some(vec![("mount", &*file.mount), ("device", &*file.device), ("kind", &*file.kind)])
    };
    let each = |of: fn(&hoopy_boot::status::Filesystem) -> u64| {
        files.iter().enumerate().filter_map(move |(n, file)| Some((labels(n)?, number(of(file)))))
    };
    out.add("filesystem_size_bytes", "gauge", "The size of a filesystem.", each(|file| file.size));
    out.add("filesystem_free_bytes", "gauge", "What can still be written to it.", each(|file| file.free));
    let healthy = |pool: &hoopy_boot::status::Pool| f64::from(u8::from(pool.healthy));
    let pools = status.pools.iter().map(|p| (vec![("pool", &*p.name), ("kind", &*p.kind)], healthy(p)));
    out.add("pool_healthy", "gauge", "Whether a pool or array is as it should be.", pools);
}

fn network(status: &Status, out: &mut Metrics) {
    let each = |of: fn(&hoopy_boot::status::Interface) -> u64| {
        status.interfaces.iter().map(move |link| (vec![("interface", &*link.name)], number(of(link))))
    };
    out.add("network_receive_bytes_total", "counter", "Bytes received.", each(|link| link.received));
    out.add("network_transmit_bytes_total", "counter", "Bytes sent.", each(|link| link.sent));
    out.add("network_errors_total", "counter", "Packets with errors.", each(|link| link.errors));
}

fn hoopy(status: &Status, out: &mut Metrics) {
    let image = &status.image;
    let name = image.name.as_deref().unwrap_or_default();
    let commit = image.commit.as_deref().unwrap_or_default();
    let labels = vec![("image", name), ("commit", commit), ("kernel", &*image.kernel)];
    out.add("image_info", "gauge", "The image that runs.", [(labels, 1.0)]);
    if image.built > 0 {
        out.gauge(
            "image_newest_package_time_seconds",
            "When its newest package was built.",
            number(image.built),
        );
    }
    if let Some(changed) = &status.changed {
        out.gauge("changed_files", "Files that the next reboot erases.", number(changed.files));
    }
    let count = |severity| number(status.problems.iter().filter(|p| p.severity == severity).count() as u64);
    let counts = [("critical", count(Severity::Critical)), ("warning", count(Severity::Warning))];
    let counts = counts.map(|(severity, count)| (vec![("severity", severity)], count));
    out.add("problems", "gauge", "What needs doing.", counts);
    let problems = status.problems.iter().map(|problem| (vec![("id", &*problem.id)], 1.0));
    out.add("problem", "gauge", "Each of those.", problems);
    let health = status.health.iter().filter(|health| matches!(&*health.state, "good" | "failed"));
    let health = health.map(|health| (Vec::new(), f64::from(u8::from(health.state == "good"))));
    out.add("boot_good", "gauge", "Whether this boot was good.", health);
    let secrets = status.secrets.iter();
    let secrets = secrets.map(|secrets| (Vec::new(), f64::from(u8::from(secrets.state == "open"))));
    out.add("secrets_open", "gauge", "Whether all secrets are open.", secrets);
    let open = status
        .volumes
        .iter()
        .filter_map(|volume| Some((vec![("volume", &*volume.name)], f64::from(u8::from(volume.open?)))));
    out.add("volume_open", "gauge", "Whether a volume is open.", open);
    if let Some(services) = &status.services {
        out.gauge("services_started", "Services that are started.", f64::from(services.started));
        let down = services.failed.iter().chain(&services.crashed);
        let down = down.map(|name| (vec![("service", &**name)], 1.0));
        out.add("service_down", "gauge", "Services that should run and do not.", down);
    }
}
