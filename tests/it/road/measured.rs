//! What is measured of a service is the same by either road.

use std::{sync::Arc, time::Duration};

use tepui::{
    base::task::Tasks,
    http::{
        Request, Response,
        meter::{Meter, Reading},
        proxy::{Proxy, Upstream},
        serve::Limits,
    },
};

use super::{super::router, Front, connect, plain};

/// Answers by the path: a status, `slow` after a while.
async fn service(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if path == "slow" {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let status = path.parse().unwrap_or(200_u16).try_into().unwrap();
    tepui::http::reply::text(status, format!("answered {path}\n"))
}

/// The measures after a success, a client's error, a slow answer and a service's error.
async fn measured(is_short: bool) -> Reading {
    let tasks = Tasks::new("t");
    let upstream = router::serve(&tasks, Limits::default(), service);
    let (meter, proxy) = (Arc::new(Meter::default()), Proxy::new(&tasks));
    let to = Upstream { addr: upstream.local_addr(), tls: false };
    let before = meter.read();
    let door = Front { proxy, upstream: to, spare: None, is_short, meter: meter.clone() };
    let door = router::serve(&tasks, Limits::default(), door);
    let mut client = connect(door.local_addr()).await;
    for path in ["200", "404", "slow", "503"] {
        client.send(plain("GET", &format!("/{path}"))).await;
        client.until(&format!("answered {path}\n")).await;
    }
    meter.read().since(&before)
}

#[tokio::test]
async fn both_roads_count_answers_errors_and_times() {
    for is_short in [true, false] {
        let reading = measured(is_short).await;
        assert_eq!((reading.requests(), reading.errors), (4, 1), "short: {is_short}");
        let slowest = reading.quantile_us(1.0).unwrap();
        assert!(slowest >= 60_000, "short: {is_short}: {slowest} us");
        assert!(reading.quantile_us(0.5).unwrap() < slowest, "short: {is_short}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_counts_as_an_error_by_both_roads() {
    let tasks = Tasks::new("t");
    let gone = tokio::net::TcpListener::bind(router::loopback()).await.unwrap();
    let to = Upstream { addr: gone.local_addr().unwrap(), tls: false };
    drop(gone);
    for is_short in [true, false] {
        let (meter, proxy) = (Arc::new(Meter::default()), Proxy::new(&tasks));
        let door = Front { proxy, upstream: to, spare: None, is_short, meter: meter.clone() };
        let door = router::serve(&tasks, Limits::default(), door);
        let mut client = connect(door.local_addr()).await;
        client.send(plain("GET", "/")).await;
        client.until("502 Bad Gateway: the service accepts no connection\n").await;
        let reading = meter.read();
        assert_eq!((reading.requests(), reading.errors), (1, 1), "short: {is_short}");
    }
}
