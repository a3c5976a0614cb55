//! The container engine's own bridge, and the networks of this machine.
//!
//! The engine names the bridge's interface; its address is read from the kernel. The engine's word
//! alone is not enough: Docker 20.10 leaves the gateway out of `GET /networks/bridge` from the start
//! that made the bridge until its next one.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};

/// How long the engine may take to say what its bridge is.
const ASK: Duration = Duration::from_secs(2);
/// What the bridge is called where nobody chose a name.
pub const DEFAULT: &str = "docker0";
/// The option in which the engine tells the interface.
const NAME_OPTION: &str = "com.docker.network.bridge.name";

/// What the engine says of its default network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its interface; engines that are not Docker may not say.
    pub interface: Option<String>,
    /// The address containers send everything else to.
    pub gateway: Option<Ipv4Addr>,
}

/// Asks the engine behind `socket`; `None` when it has no default network.
///
/// # Errors
/// When the engine does not answer.
pub async fn ask(socket: &Path) -> anyhow::Result<Option<Told>> {
    let path = socket.to_str().context("the path of Docker's socket is no UTF-8")?;
    let docker =
        bollard::Docker::connect_with_socket(path, ASK.as_secs(), bollard::API_DEFAULT_VERSION)?;
    let options = None::<bollard::query_parameters::InspectNetworkOptions>;
    let asked = tokio::time::timeout(ASK, docker.inspect_network("bridge", options)).await;
    let network = match asked.context("no answer in time")? {
        Ok(network) => network,
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let ipam = network.ipam.and_then(|i| i.config).unwrap_or_default();
    let gateway = ipam.into_iter().find_map(|c| c.gateway?.parse().ok());
    let interface = network.options.unwrap_or_default().remove(NAME_OPTION);
    Ok(Some(Told { interface, gateway }))
}

/// The interfaces of this machine as the kernel told them once.
pub struct Interfaces(Vec<InterfaceAddress>);

impl Interfaces {
    /// Asks the kernel; none where it does not answer.
    pub fn now() -> Self {
        Self(getifaddrs().map(Iterator::collect).unwrap_or_default())
    }

    /// The IPv4 address of an interface; `None` while there is no such interface or it has none.
    pub fn address(&self, interface: &str) -> Option<Ipv4Addr> {
        let mut named = self.0.iter().filter(|i| i.interface_name == interface);
        named.find_map(|i| Some(i.address?.as_sockaddr_in()?.ip()))
    }

    /// Networks whose members are this machine's containers, and the machine's own addresses: tasks on
    /// the host's network ask from those.
    pub fn networks(&self) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for interface in &self.0 {
            let Some(address) = interface.address else { continue };
            let ip: IpAddr = if let Some(v4) = address.as_sockaddr_in() {
                v4.ip().into()
            } else if let Some(v6) = address.as_sockaddr_in6() {
                v6.ip().into()
            } else {
                continue;
            };
            networks.push(IpNet::from(ip));
            let mask = interface.netmask.and_then(|m| Some(m.as_sockaddr_in()?.ip()));
            if let (IpAddr::V4(v4), Some(mask)) = (ip, mask)
                && is_bridge(&interface.interface_name)
                && let Ok(network) = Ipv4Net::with_netmask(v4, mask)
            {
                networks.push(network.trunc().into());
            }
        }
        networks.sort_unstable();
        networks.dedup();
        networks
    }
}

fn is_bridge(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).join("bridge").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_addresses_whatever_an_engine_says() {
        let interfaces = Interfaces::now();
        assert_eq!(interfaces.address("lo"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(interfaces.address("no-such-interface"), None);
        let own = interfaces.networks();
        assert!(own.contains(&IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST))), "{own:?}");
        assert!(own.iter().all(|n| n.prefix_len() > 7), "never everybody: {own:?}");
    }
}
