//! Questions that are sent on: whom they go to, whose word is taken, how long that may take.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::RecordType,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

use super::query;
use crate::{
    base::rng::Rng,
    dns::{
        answer::Transport,
        stats::Stats,
        upstream::{Forwarder, Unanswered},
    },
};

fn forwarder(upstreams: &[SocketAddr]) -> (Forwarder, Arc<Stats>) {
    let stats = Arc::<Stats>::default();
    (Forwarder::new(upstreams, Rng::from_seed(1), stats.clone()), stats)
}

fn question() -> Vec<u8> {
    query("example.com.", RecordType::A).to_vec().expect("a query")
}

/// An answer to `asked` with a code, as a good server gives it.
fn reply(asked: &[u8], code: ResponseCode) -> Message {
    let mut message = Message::from_vec(asked).expect("a query");
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    message
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// The next question and who asked it.
async fn asked(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 512];
    let (n, from) = socket.recv_from(&mut bytes).await.expect("a question");
    bytes.truncate(n);
    (bytes, from)
}

async fn answers(socket: &UdpSocket, code: ResponseCode) {
    let (bytes, from) = asked(socket).await;
    let reply = reply(&bytes, code).to_vec().expect("a reply");
    socket.send_to(&reply, from).await.expect("sent");
}

fn code(told: Result<Vec<u8>, Unanswered>) -> Result<ResponseCode, Unanswered> {
    told.map(|bytes| Message::from_vec(&bytes).expect("a reply").metadata.response_code)
}

#[tokio::test]
async fn forged_replies_are_passed_over_and_the_true_one_comes_back_under_the_clients_id() {
    let (upstream, address) = socket().await;
    let (forwarder, _) = forwarder(&[address]);
    let question = question();
    let serve = async {
        let (bytes, from) = asked(&upstream).await;
        assert_ne!(bytes[..2], question[..2], "an id that the client does not know");
        let good = reply(&bytes, ResponseCode::NXDomain).to_vec().expect("a reply");
        let (mut other_id, mut other_name) = (good.clone(), good.clone());
        other_id[0] ^= 1;
        other_name[14] ^= 1;
        for forged in [&other_id[..], &other_name, &bytes, &good[..11], b""] {
            upstream.send_to(forged, from).await.expect("sent");
        }
        // Nor is one from elsewhere, even under the right id.
        let (stranger, _) = socket().await;
        let lie = reply(&bytes, ResponseCode::NoError).to_vec().expect("a reply");
        stranger.send_to(&lie, from).await.expect("sent");
        upstream.send_to(&good, from).await.expect("sent");
    };
    let (told, ()) = tokio::join!(forwarder.ask(&question, Transport::Udp), serve);
    let told = told.expect("an answer");
    assert_eq!(told[..2], question[..2]);
    assert_eq!(code(Ok(told)), Ok(ResponseCode::NXDomain));
}

#[tokio::test]
async fn the_next_upstream_is_asked_when_one_is_silent_or_unwilling() {
    let ((silent, a), (unwilling, b), (good, c)) = (socket().await, socket().await, socket().await);
    let (forwarder, stats) = forwarder(&[a, b, c]);
    let question = question();
    let serve = async {
        let _held = asked(&silent).await;
        answers(&unwilling, ResponseCode::Refused).await;
        answers(&good, ResponseCode::NoError).await;
    };
    let (told, ()) = tokio::join!(forwarder.ask(&question, Transport::Udp), serve);
    assert_eq!(code(told), Ok(ResponseCode::NoError));
    assert_eq!((stats.snapshot().forwarded, stats.snapshot().upstream_errors), (1, 0));
}

#[tokio::test]
async fn where_nobody_is_willing_the_first_refusal_is_the_answer() {
    let ((first, a), (second, b)) = (socket().await, socket().await);
    let (forwarder, _) = forwarder(&[a, b]);
    let question = question();
    let serve = async {
        answers(&first, ResponseCode::ServFail).await;
        answers(&second, ResponseCode::Refused).await;
    };
    let (told, ()) = tokio::join!(forwarder.ask(&question, Transport::Udp), serve);
    assert_eq!(code(told), Ok(ResponseCode::ServFail));
}

#[tokio::test]
async fn equal_questions_make_one_journey_and_each_gets_its_own_id() {
    let (upstream, address) = socket().await;
    let (forwarder, stats) = forwarder(&[address]);
    let with_id = |id: u16| {
        let mut message = query("example.com.", RecordType::A);
        message.metadata.id = id;
        message.to_vec().expect("a query")
    };
    let questions: Vec<Vec<u8>> = (0..20).map(with_id).collect();
    let all = futures_util::future::join_all(
        questions.iter().map(|question| forwarder.ask(question, Transport::Udp)),
    );
    let (told, ()) = tokio::join!(all, answers(&upstream, ResponseCode::NoError));
    for (question, told) in questions.iter().zip(told) {
        assert_eq!(told.expect("an answer")[..2], question[..2]);
    }
    assert_eq!((stats.snapshot().forwarded, stats.snapshot().joined), (1, 19));
    // It is over: the next one travels by itself.
    let again = forwarder.ask(&questions[0], Transport::Udp);
    let (told, ()) = tokio::join!(again, answers(&upstream, ResponseCode::NoError));
    assert_eq!((code(told), stats.snapshot().forwarded), (Ok(ResponseCode::NoError), 2));
}

/// Whoever waits for another's journey is told when that one is given up.
#[tokio::test]
async fn who_joined_a_journey_that_is_given_up_does_not_wait_for_ever() {
    let (_upstream, address) = socket().await;
    let (forwarder, _) = forwarder(&[address]);
    let question = question();
    let mut first = Box::pin(forwarder.ask(&question, Transport::Udp));
    let short = tokio::time::timeout(Duration::from_millis(50), &mut first);
    assert!(short.await.is_err(), "nobody answers");
    let joined = forwarder.ask(&question, Transport::Udp);
    let gone = async {
        tokio::task::yield_now().await;
        drop(first);
    };
    let both = async { tokio::join!(joined, gone).0 };
    let told = tokio::time::timeout(Duration::from_secs(5), both).await.expect("in time");
    assert_eq!(told, Err(Unanswered::Failed));
}

#[tokio::test]
async fn over_tcp_a_reply_to_something_else_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (forwarder, stats) = forwarder(&[listener.local_addr().expect("bound")]);
    let question = question();
    for (is_forged, wanted) in [(true, Err(Unanswered::Failed)), (false, Ok(ResponseCode::NoError))]
    {
        let serve = async {
            let (mut peer, _) = listener.accept().await.expect("a caller");
            let mut bytes = vec![0; usize::from(peer.read_u16().await.expect("a length"))];
            peer.read_exact(&mut bytes).await.expect("a question");
            let mut told = reply(&bytes, ResponseCode::NoError).to_vec().expect("a reply");
            told[1] ^= u8::from(is_forged);
            peer.write_u16(u16::try_from(told.len()).expect("short")).await.expect("written");
            peer.write_all(&told).await.expect("written");
        };
        let (told, ()) = tokio::join!(forwarder.ask(&question, Transport::Tcp), serve);
        assert_eq!(code(told), wanted);
    }
    assert_eq!(stats.snapshot().upstream_errors, 1);
}

#[tokio::test]
async fn without_an_upstream_nothing_is_asked() {
    let (forwarder, stats) = forwarder(&[]);
    let told = forwarder.ask(&question(), Transport::Udp).await;
    assert_eq!((told, stats.snapshot().forwarded), (Err(Unanswered::NoUpstream), 0));
    let (upstream, address) = socket().await;
    forwarder.set_upstreams(&[address]);
    let question = question();
    let asked = forwarder.ask(&question, Transport::Udp);
    let (told, ()) = tokio::join!(asked, answers(&upstream, ResponseCode::NoError));
    assert_eq!(code(told), Ok(ResponseCode::NoError), "from now on");
}
