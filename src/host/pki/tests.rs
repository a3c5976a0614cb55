//! Who gets in, what is kept, and what certificates say.

use std::{fs, io};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::{
    base::{clock::SystemClock, rng::Rng},
    model::{NodeId, credential::Serial},
};

fn identity(authority: &Authority, roles: &[Role]) -> Identity {
    let names = ["10.0.0.1".to_owned(), "m1.example".to_owned()];
    let subject = Subject { node: "n1", roles, names: &names };
    authority.issue(&subject, SystemClock.now()).unwrap()
}

/// Whether `client` and `server` talk, the client asking for `wanted`.
async fn talk(client: &Identity, wanted: Role, server: &Identity, allowed: &[Role]) -> bool {
    let (near, far) = duplex(1 << 14);
    let acceptor = TlsAcceptor::from(server.server_config(allowed).unwrap());
    let connector = TlsConnector::from(client.client_config().unwrap());
    let serve = async {
        let mut tls = acceptor.accept(far).await?;
        tls.write_all(b"hello").await?;
        tls.flush().await?;
        io::Result::Ok(tls)
    };
    let ask = async {
        let mut tls = connector.connect(wanted.server_name(), near).await?;
        let mut heard = [0; 5];
        tls.read_exact(&mut heard).await?;
        io::Result::Ok(heard == *b"hello")
    };
    let (served, heard) = tokio::join!(serve, ask);
    served.is_ok() && heard.is_ok_and(|same| same)
}

#[tokio::test]
async fn only_the_right_role_of_the_same_cluster_gets_in() {
    let now = SystemClock.now();
    let ours = Authority::create("ours", now).unwrap();
    let theirs = Authority::create("theirs", now).unwrap();
    let master = identity(&ours, &[Role::Master]);
    let both = identity(&ours, &[Role::Master, Role::Agent]);
    let agent = identity(&ours, &[Role::Agent]);
    let stranger = identity(&theirs, &[Role::Master]);
    let (m, a) = (Role::Master, Role::Agent);
    assert!(talk(&master, m, &both, &[m]).await);
    assert!(talk(&agent, m, &master, &[m, a]).await);
    assert!(talk(&both, m, &master, &[m]).await);
    assert!(!talk(&agent, m, &master, &[m]).await, "an agent is no master");
    assert!(!talk(&master, m, &agent, &[m]).await, "nor can it pose as one");
    assert!(!talk(&stranger, m, &master, &[m]).await, "another cluster's master");
    assert!(!talk(&master, m, &stranger, &[m]).await, "nor is that one trusted");
}

#[tokio::test]
async fn what_is_kept_in_files_is_found_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let first = Authority::load_or_create(dir.path(), "c", now).unwrap();
    let again = Authority::load_or_create(dir.path(), "c", now).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    let node = dir.path().join("node");
    identity(&again, &[Role::Master]).save(&node).unwrap();
    let loaded = Identity::load(&node).unwrap();
    let fresh = identity(&first, &[Role::Master]);
    assert!(talk(&loaded, Role::Master, &fresh, &[Role::Master]).await);
    for file in ["ca.key", "node/node.pem"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let missing = Identity::load(&dir.path().join("none")).err().unwrap().to_string();
    assert!(missing.ends_with("node.pem cannot be read or written"), "{missing}");
}

fn named<'a>(node: &'a NodeId, serial: &'a Serial) -> node::Named<'a> {
    node::Named { cluster: "c-1", node, serial, host: "h1" }
}

#[test]
fn a_node_gets_the_name_its_master_drew_for_the_key_it_made() {
    let now = SystemClock.now();
    let authority = Authority::create("c", now).unwrap().with_life(Duration::from_secs(3600));
    let (id, serial) = (NodeId::from("c-1-S4"), node::draw_serial(&mut Rng::from_seed(1)));
    let request = node::Request::new().unwrap();
    let asked = node::Asked::read(&request.to_der().unwrap()).unwrap();
    let certificate = authority.sign(&asked, &named(&id, &serial), now).unwrap();
    let key = request.to_pem();
    let whole = authority.certificate_der().to_vec();
    let identity = request.complete(certificate.clone(), whole.clone()).unwrap();
    let facts = identity.facts().unwrap();
    assert_eq!((&facts.node, &facts.serial, facts.cluster.as_str()), (&id, &serial, "c-1"));
    assert_eq!(facts.key, asked.key());
    let life = facts.expires_at.since(now).as_secs();
    assert!((3_590..=3_600).contains(&life), "lives {life} s");

    let other = node::Request::new().unwrap();
    let error = other.complete(certificate.clone(), whole.clone()).err().unwrap().to_string();
    assert!(error.contains("another key"), "{error}");
    let again = node::Request::from_pem(&key).unwrap();
    assert!(again.complete(certificate, whole).is_ok(), "the key written down is the same");
}

#[test]
fn a_request_by_somebody_without_the_key_is_refused() {
    let mut der = node::Request::new().unwrap().to_der().unwrap();
    *der.last_mut().unwrap() ^= 1;
    assert!(node::Asked::read(&der).is_err(), "its signature is wrong");
    assert!(node::Asked::read(b"no request").is_err());
    let master = identity(&Authority::create("c", SystemClock.now()).unwrap(), &[Role::Master]);
    let error = master.facts().err().unwrap().to_string();
    assert!(error.contains("names no node"), "{error}");
}

#[test]
fn serial_numbers_come_back_as_they_were_drawn() {
    let now = SystemClock.now();
    let authority = Authority::create("c", now).unwrap();
    let mut rng = Rng::from_seed(2);
    let id = NodeId::from("n");
    for _ in 0..32 {
        let serial = node::draw_serial(&mut rng);
        let asked = node::Asked::read(&node::Request::new().unwrap().to_der().unwrap()).unwrap();
        let certificate = authority.sign(&asked, &named(&id, &serial), now).unwrap();
        assert_eq!(node::Facts::of(&certificate).unwrap().serial, serial);
    }
}
