//! MQTT over WebSocket: turns binary frames into the byte stream of a broker.
//!
//! Packets may span frames and frames may hold several packets, so frames mean
//! nothing here. Text frames end the connection, as the standard wants it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::{Buf, Bytes};
use iotstack_local_broker::Origin;
use iotstack_local_kernel::Caller;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::Gateway;

/// Upgrades the request and hands the stream to the broker.
pub fn serve(
    upgrade: WebSocketUpgrade,
    gateway: Arc<Gateway>,
    caller: Caller,
    peer: SocketAddr,
) -> Response {
    upgrade.protocols(["mqtt", "mqttv3.1"]).max_message_size(LARGEST_FRAME).on_upgrade(
        move |socket| async move {
            let (near, far) = tokio::io::duplex(BUFFER);
            let origin = Origin {
                source: peer,
                certificate: None,
                caller: Some(caller),
                server_name: None,
                is_websocket: true,
            };
            let broker = gateway.parts.broker.clone();
            tokio::spawn(async move { broker.accept(far, origin).await });
            pump(socket, near).await;
        },
    )
}

/// Carries bytes both ways until one side ends. Neither way waits for the other: a
/// broker that cannot write for a moment reads nothing either.
async fn pump(mut socket: WebSocket, stream: DuplexStream) {
    let (mut from_broker, mut to_broker) = tokio::io::split(stream);
    let mut buffer = vec![0; BUFFER];
    let mut unsent = Bytes::new();
    loop {
        tokio::select! {
            frame = socket.recv(), if unsent.is_empty() => match frame {
                Some(Ok(Message::Binary(bytes))) => unsent = bytes,
                // Answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => break,
            },
            written = to_broker.write(&unsent), if !unsent.is_empty() => match written {
                Ok(0) | Err(_) => break,
                Ok(length) => unsent.advance(length),
            },
            read = from_broker.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    let bytes = Bytes::copy_from_slice(&buffer[..length]);
                    if socket.send(Message::Binary(bytes)).await.is_err() {
                        break;
                    }
                }
            },
        }
    }
    // The broker learns of the end when its side reads nothing more.
    let _ = to_broker.shutdown().await;
}

const BUFFER: usize = 16 * 1024;
const LARGEST_FRAME: usize = 256 * 1024;
