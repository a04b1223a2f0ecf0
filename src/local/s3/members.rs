//! Members that inputs and outputs of several operations share.
//!
//! The wire library has a type of its own for the input and the output of each
//! operation, which have only the names of their members in common. What several
//! operations read or write alike is therefore told here, as macros over any of
//! these types. They hold no logic.

/// The checksums that an upload announces, taken out of its input.
macro_rules! announced {
    ($input:expr) => {
        $crate::record::Checksums {
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64nvme: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
            sha256: $input.checksum_sha256.take(),
        }
    };
}

/// Writes checksums into an output.
macro_rules! show_checksums {
    ($output:ident, $checksums:expr) => {
        let checksums = $checksums;
        $output.checksum_crc32 = checksums.crc32;
        $output.checksum_crc32c = checksums.crc32c;
        $output.checksum_crc64nvme = checksums.crc64nvme;
        $output.checksum_sha1 = checksums.sha1;
        $output.checksum_sha256 = checksums.sha256;
    };
}

/// The headers that an object will be read with.
macro_rules! headers {
    ($input:expr) => {
        $crate::record::Headers {
            cache_control: $input.cache_control,
            content_disposition: $input.content_disposition,
            content_encoding: $input.content_encoding,
            content_language: $input.content_language,
            content_type: $input.content_type,
            expires: $input.expires,
            website_redirect_location: $input.website_redirect_location,
        }
    };
}

/// What a read asks for.
macro_rules! wanted {
    ($input:expr) => {
        Wanted {
            condition: $crate::condition::ReadCondition {
                if_match: $input.if_match,
                if_none_match: $input.if_none_match,
                if_modified_since: $input.if_modified_since,
                if_unmodified_since: $input.if_unmodified_since,
            },
            range: $input.range,
            part: $input.part_number,
            checksums: $input.checksum_mode.is_some(),
        }
    };
}

/// All that is said about an object, with or without its bytes.
macro_rules! shown {
    ($output:ty, $view:expr) => {{
        let view = $view;
        let content = view.content;
        let headers = content.headers;
        let mut output = <$output>::default();
        output.accept_ranges = Some("bytes".to_owned());
        output.e_tag = Some(wire_etag(&content.etag));
        output.last_modified = Some(wire_time(view.modified));
        output.version_id = view.version_id;
        output.content_length = Some(signed(view.range.1 - view.range.0));
        output.cache_control = headers.cache_control;
        output.content_disposition = headers.content_disposition;
        output.content_encoding = headers.content_encoding;
        output.content_language = headers.content_language;
        output.content_type = Some(headers.content_type.unwrap_or_else(default_type));
        output.expires = headers.expires;
        output.website_redirect_location = headers.website_redirect_location;
        output.server_side_encryption = content.encryption.wire();
        output.ssekms_key_id = content.encryption.kms_key_id;
        output.bucket_key_enabled = content.encryption.bucket_key;
        // The ordinary class is not told.
        let class = content.storage_class.filter(|class| class != "STANDARD");
        output.storage_class = class.map(dto::StorageClass::from);
        output.parts_count = view.parts_count;
        output.metadata = wire_metadata(content.metadata);
        // A part of an object has no checksum that anybody could compare.
        if view.checksums && view.content_range.is_none() {
            output.checksum_type = content.checksums.kind().map(dto::ChecksumType::from_static);
            show_checksums!(output, content.checksums);
        }
        output.content_range = view.content_range;
        output
    }};
}

pub(crate) use {announced, headers, show_checksums, shown, wanted};
