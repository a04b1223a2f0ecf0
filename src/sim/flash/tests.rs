//! The flash: what survives a cut, and how it wears.

use super::*;

fn flash() -> Flash {
    Flash::in_memory(64 * 1024, Shelf::default())
}

#[test]
fn a_torn_record_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    for mut flash in [flash(), Flash::in_folder(folder.path(), 1024).unwrap()] {
        assert_eq!(load::<u32>(&flash, Record::Journal).unwrap(), None);
        for value in 1..6_u32 {
            save(&mut flash, Record::Journal, &vec![value; 20]).unwrap();
            for is_torn in [false, true] {
                flash.wear(Wear { cut_at_write: Some(1), is_torn, ..Wear::default() });
                let cut = save(&mut flash, Record::Journal, &vec![999_u32; 30]);
                assert_eq!(cut, Err(FlashError::PowerLost));
                assert_eq!(load::<Vec<u32>>(&flash, Record::Journal), Err(FlashError::PowerLost));
                flash.power_on();
                let found: Vec<u32> = load(&flash, Record::Journal).unwrap().unwrap();
                assert_eq!(found, vec![value; 20]);
            }
            flash.heal();
        }
        assert_eq!(load::<u32>(&flash, Record::Boot).unwrap(), None);
    }
}

#[test]
fn a_shorter_record_leaves_nothing_of_a_longer_one() {
    let mut flash = flash();
    for text in ["a".repeat(500), "b".to_owned(), "c".repeat(90), "d".to_owned()] {
        save(&mut flash, Record::Boot, &text).unwrap();
        assert_eq!(load::<String>(&flash, Record::Boot).unwrap().unwrap(), text);
    }
}

#[test]
fn files_outlive_the_process_and_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let mut flash = Flash::in_folder(folder.path(), 1024).unwrap();
    save(&mut flash, Record::Boot, &7_u32).unwrap();
    flash.write_slot(Slot::B, 0, b"image").unwrap();
    drop(flash);
    let flash = Flash::in_folder(folder.path(), 1024).unwrap();
    assert_eq!(load::<u32>(&flash, Record::Boot).unwrap(), Some(7));
    assert_eq!(flash.read_slot(Slot::B, 99).unwrap(), "image");
    #[cfg(unix)]
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn wears_as_it_is_told() {
    let cases = [
        (Wear { is_read_only: true, ..Wear::default() }, FlashError::ReadOnly),
        (Wear { full_after: Some(9), ..Wear::default() }, FlashError::Full { capacity: 65_536 }),
        (Wear { bad_page: Some(0), ..Wear::default() }, FlashError::BadPage { page: 0 }),
        (Wear { sync_fails: true, ..Wear::default() }, FlashError::Unconfirmed),
    ];
    for (wear, expected) in cases {
        let mut flash = flash();
        flash.wear(wear);
        assert_eq!(flash.write_slot(Slot::A, 0, &[1; 10]), Err(expected));
        // Records are kept elsewhere, or the device could not even say what happened.
        save(&mut flash, Record::Journal, &1).unwrap();
    }
    let mut flash = flash();
    assert_eq!(
        flash.write_slot(Slot::A, 65_530, &[1; 10]),
        Err(FlashError::Full { capacity: 65_536 })
    );
}

#[test]
fn devices_share_the_bytes_of_one_image_until_one_writes() {
    let shelf = Shelf::default();
    let mut devices = [(); 2].map(|()| Flash::in_memory(1024, shelf.clone()));
    for flash in &mut devices {
        flash.write_slot(Slot::A, 0, b"same").unwrap();
        flash.share_slot(Slot::A, [7; 32]);
    }
    let [one, two] = &mut devices;
    let pointers = [&*one, &*two].map(|flash| flash.read_slot(Slot::A, 9).unwrap().as_ptr());
    assert_eq!(pointers[0], pointers[1]);
    one.tamper(Slot::A, 0, b"X");
    assert_eq!(one.read_slot(Slot::A, 9).unwrap(), "Xame");
    assert_eq!(two.read_slot(Slot::A, 9).unwrap(), "same");
}
