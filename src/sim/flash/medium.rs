//! Where the bytes of a simulated flash really are: in memory or in files.
//!
//! In memory, devices of a fleet that hold the same image share its bytes, because
//! five thousand copies of one image are of no use to anybody. On disk, every area is
//! a file that only its owner may read. Nothing here fails on purpose; that is the
//! business of [`super::Flash`].

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{AREAS, Area};
use crate::{Error, Result};

/// The images that devices of a fleet hold, each once.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    images: Arc<Mutex<HashMap<[u8; 32], Bytes>>>,
}

impl Shelf {
    /// The one copy of the image with this digest; `image` becomes it if it is new.
    pub fn shared(&self, digest: [u8; 32], image: impl FnOnce() -> Bytes) -> Bytes {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.entry(digest).or_insert_with(image).clone()
    }
}

/// The bytes of one device.
pub(super) enum Medium {
    Memory { areas: [Content; AREAS], shelf: Shelf },
    Files { folder: PathBuf },
}

/// The content of an area in memory.
pub(super) enum Content {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Medium {
    pub(super) fn memory(shelf: Shelf) -> Self {
        Medium::Memory { areas: std::array::from_fn(|_| Content::Own(Vec::new())), shelf }
    }

    /// Opens the files of a device, and makes them if they are not there.
    pub(super) fn files(folder: &Path) -> Result<Self> {
        let medium = Medium::Files { folder: folder.to_owned() };
        crate::private::make_folder(folder)?;
        for area in Area::ALL {
            let path = folder.join(area.file_name());
            crate::private::options()
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|source| Error::File { action: "create", path, source })?;
        }
        Ok(medium)
    }

    pub(super) fn length(&self, area: Area) -> io::Result<u64> {
        match self {
            Medium::Memory { areas, .. } => Ok(areas[area.index()].bytes().len() as u64),
            Medium::Files { .. } => {
                Ok(self.open(area, OpenOptions::new().read(true))?.metadata()?.len())
            }
        }
    }

    /// Everything that is in an area.
    pub(super) fn read(&self, area: Area) -> io::Result<Bytes> {
        match self {
            Medium::Memory { areas, .. } => Ok(match &areas[area.index()] {
                Content::Own(bytes) => Bytes::copy_from_slice(bytes),
                Content::Shared(bytes) => bytes.clone(),
            }),
            Medium::Files { .. } => {
                let mut bytes = Vec::new();
                self.open(area, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    /// Writes at an offset; what lies between the end and the offset reads as erased.
    pub(super) fn write(&mut self, area: Area, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Medium::Memory { areas, .. } => {
                let content = areas[area.index()].own();
                let (start, end) = (offset as usize, offset as usize + bytes.len());
                if content.len() < end {
                    content.resize(end, ERASED);
                }
                content[start..end].copy_from_slice(bytes);
                Ok(())
            }
            Medium::Files { .. } => {
                let mut file = self.open(area, OpenOptions::new().write(true))?;
                file.seek(SeekFrom::Start(offset))?;
                file.write_all(bytes)?;
                file.sync_data()
            }
        }
    }

    pub(super) fn truncate(&mut self, area: Area, length: u64) -> io::Result<()> {
        match self {
            Medium::Memory { areas, .. } => {
                let content = areas[area.index()].own();
                content.truncate(length as usize);
                content.shrink_to_fit();
                Ok(())
            }
            Medium::Files { .. } => {
                let file = self.open(area, OpenOptions::new().write(true))?;
                file.set_len(length)?;
                file.sync_data()
            }
        }
    }

    /// Says that an area holds the bytes with this digest, so that they can be shared.
    pub(super) fn share(&mut self, area: Area, digest: [u8; 32]) {
        if let Medium::Memory { areas, shelf } = self {
            let content = &mut areas[area.index()];
            let bytes = shelf.shared(digest, || content.take());
            *content = Content::Shared(bytes);
        }
    }

    /// Puts bytes that are shared already into an area.
    pub(super) fn place(&mut self, area: Area, bytes: Bytes) -> io::Result<()> {
        match self {
            Medium::Memory { areas, .. } => {
                areas[area.index()] = Content::Shared(bytes);
                Ok(())
            }
            Medium::Files { .. } => {
                self.truncate(area, 0)?;
                self.write(area, 0, &bytes)
            }
        }
    }

    fn open(&self, area: Area, options: &mut OpenOptions) -> io::Result<File> {
        match self {
            Medium::Files { folder } => options.open(folder.join(area.file_name())),
            Medium::Memory { .. } => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Content::Own(bytes) => bytes,
            Content::Shared(bytes) => bytes,
        }
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if let Content::Shared(bytes) = self {
            *self = Content::Own(bytes.to_vec());
        }
        match self {
            Content::Own(bytes) => bytes,
            // The branch above has just replaced it.
            Content::Shared(_) => unreachable!("the content was made the device's own"),
        }
    }

    fn take(&mut self) -> Bytes {
        match std::mem::replace(self, Content::Own(Vec::new())) {
            Content::Own(bytes) => bytes.into(),
            Content::Shared(bytes) => bytes,
        }
    }
}

/// What erased flash reads as.
pub(super) const ERASED: u8 = 0xff;
