//! When a door opens. That one carries is tested with the whole program, as it takes
//! processes.

use super::Crowd;

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
