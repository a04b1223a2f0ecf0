//! The questions that a device asks before it follows an order or runs an image.
//!
//! Pure functions from what was received and what the device knows to a manifest or
//! an outcome. Nothing is written here, and nothing is fetched.

use crate::boot::{Booted, Manifest};
use crate::image;
use crate::order::Order;
use crate::outcome::{Outcome, Reason};
use crate::version::compare;

use super::{Rules, Work};

/// Judges an order before a byte is fetched.
pub(super) fn order(
    order: &Order,
    running: &Booted,
    floor: &str,
    sequence: u64,
    capacity: u64,
    rules: &Rules<'_>,
) -> Result<(), Outcome> {
    in_time(order.expires, order.sequence, sequence, rules.now, "job document")?;
    if order.size == 0 {
        return Err(Outcome::new(Reason::Size, "the image has no bytes"));
    }
    if order.size > capacity {
        let detail = format!("the image has {} bytes and a slot {capacity}", order.size);
        return Err(Outcome::new(Reason::Storage, detail));
    }
    if let Some(version) = &order.version {
        later(version, running, floor, rules)?;
    }
    // The signature is one of the digest, and the document declares the digest: an
    // image that is not signed is refused before any of it is here.
    match &order.sha256 {
        Some(declared) => rules.trust.judge(declared, &order.claim, rules.now),
        None => Ok(()),
    }
}

/// Judges an image that has arrived completely.
pub(super) fn image(
    bytes: &[u8],
    work: &Work,
    running: &Booted,
    floor: &str,
    sequence: u64,
    rules: &Rules<'_>,
) -> Result<Manifest, Outcome> {
    let order = &work.order;
    let digest = image::digest(bytes);
    if let Some(declared) = &order.sha256
        && *declared != digest
    {
        let detail = format!("the image has the SHA-256 {digest}, and {declared} was declared");
        return Err(Outcome::new(Reason::Checksum, detail));
    }
    rules.trust.judge(&digest, &order.claim, rules.now)?;
    let header =
        image::read(bytes).map_err(|error| Outcome::new(Reason::Document, error.to_string()))?;
    let Some((header, start)) = header else {
        // An opaque image is what the document says it is.
        let version = order.version.clone().ok_or_else(|| {
            Outcome::new(Reason::Document, "neither the document nor the image says the version")
        })?;
        return Ok(manifest(version, work, digest, None, Default::default()));
    };
    if let Some(model) = &header.model
        && model != rules.model
    {
        let detail = format!("the image is for model `{model}`, and this is `{}`", rules.model);
        return Err(Outcome::new(Reason::WrongDevice, detail));
    }
    if let Some(version) = &order.version
        && *version != header.version
    {
        let signed = &header.version;
        let detail = format!("the document says version {version}, the signed image {signed}");
        return Err(Outcome::new(Reason::Document, detail));
    }
    let end = start as u64 + header.length;
    if end < order.size {
        let detail = format!("{} bytes follow the image", order.size - end);
        return Err(Outcome::new(Reason::ExtraBytes, detail));
    }
    if end > order.size {
        let detail = format!("{} bytes of the image are missing", end - order.size);
        return Err(Outcome::new(Reason::Size, detail));
    }
    later(&header.version, running, floor, rules)?;
    in_time(header.expires, header.sequence, sequence, rules.now, "image")?;
    if let Some(base) = &header.base
        && *base != running.sha256
    {
        let detail = format!("the image builds upon {base}, and {} runs", running.sha256);
        return Err(Outcome::new(Reason::WrongBase, detail));
    }
    Ok(manifest(header.version, work, digest, header.sequence, header.behaviour))
}

/// Whether something is neither out of date nor older than what was there already.
fn in_time(
    expires: Option<u64>,
    sequence: Option<u64>,
    highest: u64,
    now: u64,
    what: &str,
) -> Result<(), Outcome> {
    if let Some(expires) = expires
        && now >= expires
    {
        let detail = format!("the {what} expired at {expires}, and it is {now}");
        return Err(Outcome::new(Reason::Expired, detail));
    }
    if let Some(sequence) = sequence
        && sequence < highest
    {
        let detail = format!("the {what} has the sequence {sequence}, and {highest} was installed");
        return Err(Outcome::new(Reason::Expired, detail));
    }
    Ok(())
}

/// Whether a version is later than the one that runs, and not below the floor.
fn later(version: &str, running: &Booted, floor: &str, rules: &Rules<'_>) -> Result<(), Outcome> {
    let against_running = compare(version, &running.version);
    if against_running.is_eq() {
        let detail = format!("version {version} runs already");
        let reason = match rules.same_version_is_success {
            true => Reason::NothingToDo,
            false => Reason::SameVersion,
        };
        return Err(Outcome::new(reason, detail));
    }
    if against_running.is_lt() || compare(version, floor).is_lt() {
        let detail =
            format!("version {version} is older than {}, the floor is {floor}", running.version);
        return Err(Outcome::new(Reason::Rollback, detail));
    }
    Ok(())
}

fn manifest(
    version: String,
    work: &Work,
    sha256: iotstack_protocol::jobs::Sha256Digest,
    sequence: Option<u64>,
    behaviour: image::Behaviour,
) -> Manifest {
    Manifest {
        version,
        size: work.order.size,
        sha256,
        claim: work.order.claim.clone(),
        job: Some(work.key.clone()),
        // A sequence that only the document has counts as well.
        sequence: sequence.or(work.order.sequence),
        behaviour,
    }
}
