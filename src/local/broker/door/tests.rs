//! When a door opens, and that no client keeps it shut. That one carries is tested with the
//! whole program, as it takes processes.

#[path = "../examples/anybody/mod.rs"]
mod anybody;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use iotstack_local_kernel::testing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::{Arrival, Crowd, DoorSettings, Opening, WELCOME, carrier, hear, process, tell};
use crate::Settings;

#[test]
fn a_door_is_needed_shortly_before_a_process_is_full() {
    let crowd = Crowd::new(16);
    let places: Vec<_> = (0..13).map(|_| crowd.enter()).collect();
    assert!(!crowd.is_tight());
    let another = crowd.enter();
    assert!(crowd.is_tight());
    drop(another);
    assert!(!crowd.is_tight());
    drop(places);
}

#[test]
fn every_open_door_makes_room() {
    let crowd = Crowd::new(2);
    let _places: Vec<_> = (0..2).map(|_| crowd.enter()).collect();
    assert!(crowd.is_tight());
    crowd.set_doors(1);
    assert!(!crowd.is_tight());
    let _more: Vec<_> = (0..2).map(|_| crowd.enter()).collect();
    assert!(crowd.is_tight());
}

#[tokio::test]
async fn a_message_is_read_as_it_was_told_and_a_longer_one_is_refused() {
    let (mut one, mut other) = tokio::io::duplex(64);
    let (told, heard) = tokio::join!(super::tell(&mut one, &"words"), super::hear(&mut other));
    told.unwrap();
    assert_eq!(heard.map(|words: String| words).unwrap(), "words");
    tokio::io::AsyncWriteExt::write_u32(&mut one, u32::MAX).await.unwrap();
    let refused = super::hear::<String>(&mut other).await.unwrap_err();
    assert!(refused.to_string().contains("4294967295 bytes"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_door_that_does_not_open_or_closes_is_opened_again_though_nobody_comes_in() {
    let crowd = Crowd::new(1);
    let _place = crowd.enter();
    let began = Instant::now();
    let tries = AtomicUsize::new(0);
    let open = || -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("there are too many processes")),
            1 => Ok(Box::pin(async {})),
            _ => Ok(Box::pin(std::future::pending())),
        }
    };
    let stays = async {
        while tries.load(Ordering::Relaxed) < 3 || crowd.doors() != 1 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = super::keep_open(&crowd, open) => panic!("nobody opens doors any more"),
        stays = timeout(Duration::from_secs(60), stays) => stays.expect("no door is open"),
    }
    assert!(began.elapsed() >= 2 * super::PAUSE, "it was not tried all the time");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_loses_its_place_and_one_that_is_sent_nothing_does_not() {
    let patience = Some(Duration::from_secs(1800));
    let (mut broker, mut door) = tokio::io::duplex(64);
    let (mut near, _client) = tokio::io::duplex(8);
    let idle = process::copy(&mut door, &mut near, patience);
    assert!(timeout(Duration::from_secs(100_000), idle).await.is_err());
    broker.write_all(b"more than there is room for").await.unwrap();
    let lost = process::copy(&mut door, &mut near, patience).await.unwrap_err();
    assert_eq!(lost.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn clients_that_say_nothing_keep_nobody_out() {
    let cloud = testing::cloud();
    cloud.ports.serve_authority(Arc::new(anybody::Anybody("$")));
    let patience = Duration::from_secs(3600);
    let broker =
        crate::install(&cloud, Settings { greeting_time: patience, ..Settings::default() });
    let broker = Arc::downgrade(&broker.unwrap());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let settings = DoorSettings {
        program: PathBuf::new(),
        arguments: Vec::new(),
        connections: 1000,
        chain_pem: String::new(),
        key_pem: String::new(),
    };
    let knocking = async {
        let _: Opening = hear(&mut theirs).await.unwrap();
        let (wishes, wanted) = mpsc::channel::<process::Wish>(1);
        let silent = async {
            let mut silent = Vec::new();
            for _ in 0..600 {
                let (wish, granted) = oneshot::channel();
                wishes.send(wish).await.unwrap();
                let mut stream = granted.await.unwrap().compat();
                let source = "127.0.0.1:1".parse().unwrap();
                let arrival = Arrival { source, certificate: Some(vec![1]), server_name: None };
                tell(&mut stream, &arrival).await.unwrap();
                silent.push(stream);
            }
            for stream in &mut silent {
                assert_eq!(stream.read_u8().await.unwrap(), WELCOME);
            }
        };
        tokio::select! {
            () = process::carry(carrier(theirs, yamux::Mode::Client), wanted) => panic!("lost"),
            all = timeout(Duration::from_secs(20), silent) => all.expect("some are kept out"),
        }
    };
    let crowd = Crowd::new(1000);
    tokio::select! {
        served = super::serve(broker, ours, &settings, &crowd) => panic!("{served:?}"),
        () = knocking => {}
    }
}
