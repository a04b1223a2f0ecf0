//! The limits of AWS IoT's message broker, and the bounds of this one's memory.
//!
//! Quotas of the account that only cost time (connections per second, messages per
//! second of the account) are not here, because nobody imitates them locally.

/// The largest payload.
pub(crate) const PAYLOAD: usize = 128 * 1024;
/// The largest packet, in and out.
pub(crate) const PACKET: usize = 146 * 1024;
/// The smallest largest packet that a client of MQTT 5 may announce.
pub(crate) const SMALLEST_PACKET: u32 = 512;
/// The longest client id.
pub(crate) const CLIENT_ID: usize = 128;
/// The most messages of one connection per second, where that is limited.
pub(crate) const PUBLISHES_PER_SECOND: u32 = 100;
/// The most subscriptions of one connection.
pub(crate) const SUBSCRIPTIONS: usize = 50;
/// The most subscriptions of one connection of the standard mode.
pub(crate) const STANDARD_SUBSCRIPTIONS: usize = 10_000;
/// The most filters in one SUBSCRIBE.
pub(crate) const FILTERS: usize = 8;
/// The most unacknowledged messages each way.
pub(crate) const IN_FLIGHT: u16 = 100;
/// The largest topic alias each way.
pub(crate) const TOPIC_ALIAS: u16 = 8;
/// The longest life of a message, in seconds.
pub(crate) const MESSAGE_EXPIRY: u32 = 604_800;
/// The most bytes in user properties.
pub(crate) const USER_PROPERTIES: usize = 8 * 1024;
/// The longest content type.
pub(crate) const CONTENT_TYPE: usize = 256;
/// The longest correlation data.
pub(crate) const CORRELATION_DATA: usize = 8 * 1024;
/// The longest name of a group of shared subscriptions.
pub(crate) const SHARE_NAME: usize = 128;
/// The most groups of shared subscriptions.
pub(crate) const SHARE_GROUPS: usize = 100;
/// The most subscriptions in a group.
pub(crate) const SHARE_MEMBERS: usize = 100;
/// The most retained messages.
pub(crate) const RETAINED: usize = 500_000;
/// The shortest and the longest interval of keep-alive, in seconds.
pub(crate) const KEEP_ALIVE: std::ops::RangeInclusive<u16> = 30..=1200;
/// How long a message waits for its acknowledgement, in seconds: MQTT 3.1.1 and 5.
pub(crate) const UNACKNOWLEDGED: (i64, i64) = (3600, 960);
/// After how many seconds without acknowledgement a message is sent again.
pub(crate) const RETRY: u64 = 60;
/// How long a connection over a WebSocket may last, in seconds.
pub(crate) const WEBSOCKET: u64 = 24 * 3600;

/// The most messages that wait for one client. What is above is dropped.
pub(crate) const QUEUE_MESSAGES: usize = 10_000;
/// The most bytes that wait for one client.
pub(crate) const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// The most answers that wait for one client. A client that reads so few of them
/// is lost.
pub(crate) const QUEUE_ANSWERS: usize = 10_000;
/// The number of client ids whose count of connections is remembered.
pub(crate) const REMEMBERED_CLIENTS: usize = 200_000;
