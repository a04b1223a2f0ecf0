//! MQTT 3.1.1 and 5 as AWS IoT speaks them: packets, topics, a lean client.
