//! The machine's page: how it gets into an image, `hoopy status` and `hoopy open`, against a far side that is a directory
//! with the real BusyBox and the real agent in it.

#[path = "deploy/remote.rs"]
mod remote;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hoopy_testkit::Home;
use remote::{EFI, Remote, loader, segments};
