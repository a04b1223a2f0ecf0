//! A local cloud: AWS endpoint, MQTT broker, console.
