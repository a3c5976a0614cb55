//! What the network between hosts does to them: cut one way or both, packets lost, and who hears whom.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::Result;

use super::host::Host;

/// Rules stand where packets arrive, in a chain of their own.
const CHAIN: &str = "RIG";
/// A datagram that has not arrived by then does not.
const ECHO: Duration = Duration::from_millis(100);

/// Nobody hears badly any more.
pub fn heal(hosts: &[Host]) {
    for host in hosts {
        let _ = host.run("iptables", &["-D", "INPUT", "-j", CHAIN]);
        let _ = host.run("iptables", &["-F", CHAIN]);
        let _ = host.run("iptables", &["-X", CHAIN]);
    }
}

/// `ear` hears nothing of `mouth` any more; what `ear` says still arrives there.
pub fn deafen(ear: &Host, mouth: &Host) -> Result<()> {
    rule(ear, &["-s", &mouth.ip.to_string(), "-j", "DROP"])
}

/// Neither hears the other.
pub fn cut(one: &Host, other: &Host) -> Result<()> {
    deafen(one, other)?;
    deafen(other, one)
}

/// So many of a hundred packets that reach `ear` from other hosts are lost.
pub fn lose(ear: &Host, of_hundred: u8) -> Result<()> {
    let share = format!("0.{of_hundred:02}");
    rule(
        ear,
        &[
            "-i",
            "eth0",
            "-m",
            "statistic",
            "--mode",
            "random",
            "--probability",
            &share,
            "-j",
            "DROP",
        ],
    )
}

fn rule(ear: &Host, rule: &[&str]) -> Result<()> {
    if ear.run("iptables", &["-N", CHAIN]).is_ok() {
        ear.run("iptables", &["-I", "INPUT", "-j", CHAIN])?;
    }
    ear.run("iptables", &[&["-A", CHAIN], rule].concat()).map(drop)
}

/// Who hears whom: a line for each host, a column for each other.
pub fn table(hosts: &[Host]) -> Result<String> {
    let probes = hosts.iter().map(Probe::at).collect::<Result<Vec<_>>>()?;
    let mut table = String::from("hears ");
    for mouth in hosts {
        table.push_str(&format!("{:>5}", mouth.n));
    }
    for (ear, host) in probes.iter().zip(hosts) {
        table.push_str(&format!("\n{:>6}", host.n));
        for mouth in &probes {
            let sign = match () {
                () if ear.at == mouth.at => "-",
                () if ear.hears(mouth)? => "yes",
                () => "no",
            };
            table.push_str(&format!("{sign:>5}"));
        }
    }
    Ok(table)
}

/// Whether what `mouth` says arrives at `ear`.
pub fn hears(ear: &Host, mouth: &Host) -> Result<bool> {
    Probe::at(ear)?.hears(&Probe::at(mouth)?)
}

/// A socket in a host's network.
struct Probe {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Probe {
    fn at(host: &Host) -> Result<Self> {
        let socket = host.inside(|| UdpSocket::bind((host.ip, 0)))??;
        socket.set_read_timeout(Some(ECHO))?;
        let at = socket.local_addr()?;
        Ok(Self { socket, at })
    }

    fn hears(&self, mouth: &Self) -> Result<bool> {
        mouth.socket.send_to(b"hello", self.at)?;
        let mut buffer = [0; 8];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((_, from)) if from == mouth.at => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
