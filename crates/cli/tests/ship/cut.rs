//! What is cut short: the machine's power, and the network.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hoopy_testkit::ended;

use crate::choice::Choice;
use crate::esp::digests;
use crate::machine::{Machine, succeeds};
use crate::random::Random;

/// Between two looks at the partition.
const PAUSE: Duration = Duration::from_millis(10);

/// No deploy takes as long, where both sides are emulated and one has lost its power: it hangs.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// When the plug is pulled.
#[derive(Debug, Clone, Copy)]
enum Instants {
    /// Anywhere between the first packet and the last.
    Anywhere,
    /// From the moment on that the new file is on the disk, until the end.
    WhileItIsPutTogether,
    /// About when the names are changed.
    AboutTheSwitch,
    /// As soon as the new file has lost its temporary name, or a little later.
    AtTheSwitch,
}

use Instants::{AboutTheSwitch, Anywhere, AtTheSwitch, WhileItIsPutTogether};

/// Each in its turn, so that any number has some of each; which is the first, the seed says.
const KINDS: [Instants; 4] = [AtTheSwitch, Anywhere, AboutTheSwitch, WhileItIsPutTogether];

/// The deploy is run again after one in so many cuts: a deploy takes as long as a boot, where both are emulated.
const AGAIN: u64 = 4;

/// So long after the switch is looked at too: old clusters are freed then.
const AFTER: Duration = Duration::from_millis(400);

/// Since the deploy began: when the new file was seen on the disk, when under its own name, and the end.
#[derive(Debug, Clone, Copy)]
struct Course {
    whole: Duration,
    switched: Duration,
    end: Duration,
}

/// After each the machine has nothing but whole images, starts the one that its partition says it has to, and can be
/// deployed to again.
pub fn a_plug_pulled_at_any_instant_leaves_an_image_to_start(machine: &mut Machine, choice: &Choice) {
    let mut random = Random(choice.seed);
    let first = random.below(KINDS.len() as u64);
    let loaders: BTreeSet<String> =
        machine.loader().map(|file| machine.esp().digest(&file)).into_iter().collect();
    machine.set("root/etc/motd", "how long\n", 0o644);
    let mut next = machine.build();
    let course = undisturbed(machine);
    machine.say(&format!("undisturbed: {course:.1?}"));
    let (mut after, mut during) = (0, 0);
    for n in 0..choice.kills {
        machine.is_well();
        let good = machine.runs();
        machine.set("root/etc/motd", &format!("cut {n}\n"), 0o644);
        let new = machine.build();
        let kind = KINDS[((first + n) % KINDS.len() as u64) as usize];
        let (at, done) = cut(machine, kind, &course, &mut random);
        let known: BTreeSet<String> = &digests(&machine.home.path("hello/images")) | &loaders;
        let images = machine.esp().images();
        for (file, digest) in &images {
            assert!(known.contains(digest), "{kind:?}, after {at:.2?}: {file} is no whole image");
        }
        let switched = machine.starts(&new.name, &new.digest, &images);
        // One that was never started goes first where room is made for the next.
        let wanted = match () {
            () if switched => &new.name,
            () if machine.starts(&next.name, &next.digest, &images) => &next.name,
            () => &good,
        };
        assert!(!done || switched, "it was said to be deployed, and is not");
        machine.start();
        let runs = machine.runs();
        assert_eq!(runs, *wanted, "{kind:?}, after {at:.2?}: {:?}", images.keys());
        if switched {
            after += 1
        } else {
            during += 1
        }
        let how = if switched { "switched" } else { "not switched" };
        let whole = images.len();
        machine.say(&format!(
            "cut {n}: {kind:?}, {at:.2?} into the deploy, {how}: {whole} whole files; {runs} is up"
        ));
        // Where it is not run again at once, the next image is deployed to what is left: that must go well too.
        if n % AGAIN == 0 || n + 1 == choice.kills {
            succeeds(machine.command("deploy", &["--quiet", "--image", &new.file]), "again");
            // Until then the machine may rename the image that it started, while it is looked at.
            machine.is_well();
            assert!(machine.starts(&new.name, &new.digest, &machine.esp().images()));
            machine.say(&format!("cut {n}: {} was deployed again", new.name));
            next = new;
        } else if switched {
            next = new;
        }
    }
    machine.is_well();
    machine.say(&format!("seed {}: {during} cuts came before the switch, {after} after it", choice.seed));
}

/// A rename of FAT is several writes: between two of them the new image has its own name and the temporary one, and a deploy
/// that removed the latter would free the image's clusters, and write the next image into them.
pub fn a_second_name_that_a_power_cut_left_takes_nothing_from_its_image(machine: &mut Machine, _: &Choice) {
    machine.set("root/etc/motd", "first\n", 0o644);
    let first = machine.build();
    succeeds(machine.command("deploy", &["--quiet", "--reboot"]), "deploy");
    machine.is_well();
    machine.kill();
    let digests = machine.esp().images();
    let (file, _) = digests.iter().find(|(_, digest)| **digest == first.digest).unwrap();
    let (dir, name) = file.rsplit_once('/').unwrap();
    machine.esp().add_name(dir, name, "hoopy-new.part");
    machine.start();
    machine.is_well();
    machine.set("root/etc/motd", "second\n", 0o644);
    let second = machine.build();
    succeeds(machine.command("deploy", &["--quiet"]), "deploy");
    let images = machine.esp().images();
    for image in [&first, &second] {
        assert!(images.values().any(|digest| *digest == image.digest), "{} is whole: {images:?}", image.name);
    }
    assert!(machine.esp().names(dir).contains(&"hoopy-1.left".to_owned()));
    succeeds(machine.command("deploy", &["--quiet", "--reboot"]), "reboot");
    machine.is_well();
    assert_eq!(machine.runs(), second.name);
}

/// What a deploy takes, ssh and all, on this machine today.
fn undisturbed(machine: &Machine) -> Course {
    let begun = Instant::now();
    let mut child = machine.command("deploy", &["--quiet"]).spawn().unwrap();
    let (mut whole, mut switched) = (None, None);
    while child.try_wait().unwrap().is_none() && begun.elapsed() < LONGEST {
        look(machine, begun, &mut whole, &mut switched);
        std::thread::sleep(PAUSE);
    }
    assert!(ended(&mut child, LONGEST).success());
    let end = begun.elapsed();
    let whole = whole.unwrap_or(end / 2);
    Course { whole, switched: switched.unwrap_or(end), end }
}

fn look(machine: &Machine, begun: Instant, whole: &mut Option<Duration>, switched: &mut Option<Duration>) {
    let is_there = machine.esp().names(machine.image_dir()).iter().any(|name| name == "hoopy-new.part");
    match (is_there, &whole) {
        (true, None) => *whole = Some(begun.elapsed()),
        (false, Some(_)) if switched.is_none() => *switched = Some(begun.elapsed()),
        _ => {}
    }
}

/// Pulls the plug of a machine that is deployed to; when that was, and whether the deploy had ended well.
fn cut(machine: &mut Machine, kind: Instants, course: &Course, random: &mut Random) -> (Duration, bool) {
    let delay = match kind {
        Anywhere => random.within(course.end),
        WhileItIsPutTogether => random.within(course.end.saturating_sub(course.whole)),
        AboutTheSwitch => {
            let usual = course.switched.saturating_sub(course.whole);
            usual.mul_f64(0.7) + random.within(usual.mul_f64(0.4) + AFTER)
        }
        AtTheSwitch => random.within(AFTER),
    };
    let mut command = machine.command("deploy", &["--quiet"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let (mut whole, mut switched) = (None, None);
    let is_time = |whole: Option<Duration>, switched: Option<Duration>| match kind {
        Anywhere => true,
        WhileItIsPutTogether | AboutTheSwitch => whole.is_some(),
        AtTheSwitch => switched.is_some(),
    };
    let over = |child: &mut Child| child.try_wait().unwrap().is_some() || begun.elapsed() >= LONGEST;
    while !is_time(whole, switched) && !over(&mut child) {
        look(machine, begun, &mut whole, &mut switched);
        std::thread::sleep(PAUSE);
    }
    std::thread::sleep(delay);
    machine.kill();
    let at = begun.elapsed();
    (at, ended(&mut child, LONGEST).success())
}

/// A network that is gone in the middle of a transfer: nothing more comes through, and nobody is told.
pub fn a_network_that_is_cut_is_told_and_the_deploy_can_be_run_again(machine: &mut Machine, _: &Choice) {
    // Much to send, so that it is in the middle.
    let noise: String =
        (0..400_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    machine.set("root/srv/noise", &noise, 0o644);
    let before = machine.esp().images();
    let new = machine.build();
    let left = Arc::new(AtomicU64::new(500_000));
    machine.reached_by(cutting_proxy(machine.port(), Arc::clone(&left)));
    let (code, said) = machine.fails("deploy", &["--quiet"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the connection to vm was lost"), "{said}");
    assert_eq!(left.load(Ordering::SeqCst), 0, "it was not cut: {said}");
    machine.quote("deploy", &said);
    machine.reached_by(machine.port());
    // The far side gives up after a minute, and puts everything back.
    let again = || machine.command("deploy", &["--quiet"]).output().unwrap();
    let mut last = again();
    if !last.status.success() {
        machine.quote("deploy", &String::from_utf8_lossy(&last.stderr));
        std::thread::sleep(Duration::from_secs(60));
        last = again();
    }
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    let now = machine.esp().images();
    assert!(machine.starts(&new.name, &new.digest, &now) && !before.values().any(|d| *d == new.digest));
    machine.unset("root/srv/noise");
}

/// A port that leads to `port` until so many bytes went there; then nothing passes any more.
fn cutting_proxy(port: u16, left: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let pairs =
                [(client.try_clone().unwrap(), server.try_clone().unwrap(), true), (server, client, false)];
            for (mut from, mut to, counted) in pairs {
                let left = Arc::clone(&left);
                std::thread::spawn(move || {
                    let mut buffer = [0; 16 << 10];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        if counted {
                            let taken = |l: u64| Some(l.saturating_sub(n as u64));
                            let _ = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken);
                        }
                        if left.load(Ordering::SeqCst) == 0 {
                            std::thread::sleep(Duration::from_secs(3600));
                        }
                        let _ = to.write_all(&buffer[..n]);
                    }
                });
            }
        }
    });
    own
}
