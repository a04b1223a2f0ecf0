//! A type as bytes: the words first, then the facts, in the order of the fields.
//!
//! Each `write_*` function has its `read_*` beside it. Optional numbers are written
//! one higher, with zero for their absence; flags share a byte.

use super::read::Reader;
use super::write::Writer;
use crate::path::PropertyPath;
use crate::resource_type::{
    Attribute, Definition, Lifecycle, ReplacementOrder, ResourceType, Scrutiny, Tagging,
};
use crate::shape::{
    ArrayShape, Format, MapShape, NumberShape, ObjectRule, ObjectShape, Property, Shape,
    StringShape, Target,
};

/// Writes a type without its name, which the index has: its words and its facts.
pub(super) fn write_type(resource_type: &ResourceType) -> (Vec<&str>, Vec<u8>) {
    let mut facts = Writer::default();
    write_facts(&mut facts, resource_type);
    (facts.words, facts.bytes)
}

/// Reads what [`write_type`] wrote. Each word ends in [`WORD_END`].
pub(super) fn read_type(
    name: &'static str,
    words: &'static str,
    facts: &[u8],
) -> Option<ResourceType> {
    let words: Vec<&'static str> = words.split_terminator(WORD_END).collect();
    read_facts(&mut Reader::new(facts, &words), name)
}

/// What stands behind a word. No word contains it.
pub(super) const WORD_END: &str = "\0";

fn write_facts<'a>(w: &mut Writer<'a>, t: &'a ResourceType) {
    write_object(w, &t.properties);
    w.list(&t.definitions, |w, definition| {
        w.word(definition.name);
        write_shape(w, &definition.shape);
    });
    w.list(&t.attributes, |w, attribute| {
        w.word(attribute.name);
        write_shape(w, &attribute.shape);
    });
    w.words(&t.attribute_prefixes);
    for paths in path_lists(t) {
        w.list(paths, write_path);
    }
    write_optional_word(w, t.arn_template);
    w.list(&t.scrutiny, |w, (path, scrutiny)| {
        write_path(w, path);
        write_scrutiny(w, *scrutiny);
    });
    let delete_first = t.replacement_order == ReplacementOrder::DeleteFirst;
    w.byte(flags([t.immutable, t.stateful, delete_first, t.tagging.is_some()]));
    if let Some(tagging) = &t.tagging {
        write_path(w, &tagging.property);
        w.byte(flags([tagging.updatable, tagging.system_tags, false, false]));
    }
    match t.lifecycle {
        Lifecycle::Active => w.byte(0),
        Lifecycle::Ending { date } => {
            w.byte(1);
            write_optional_word(w, date);
        }
        Lifecycle::Ended => w.byte(2),
    }
    w.bytes.extend_from_slice(&t.region_bits.to_le_bytes());
}

fn path_lists(t: &ResourceType) -> [&Vec<PropertyPath>; 7] {
    [
        &t.read_only,
        &t.write_only,
        &t.create_only,
        &t.conditional_create_only,
        &t.deprecated,
        &t.primary_identifier,
        &t.reference,
    ]
}

fn read_facts(r: &mut Reader<'_, '_>, name: &'static str) -> Option<ResourceType> {
    let properties = read_object(r)?;
    let definitions = r.list(|r| Some(Definition { name: r.word()?, shape: read_shape(r)? }))?;
    let attributes = r.list(|r| Some(Attribute { name: r.word()?, shape: read_shape(r)? }))?;
    let attribute_prefixes = r.words()?;
    let read_only = r.list(read_path)?;
    let write_only = r.list(read_path)?;
    let create_only = r.list(read_path)?;
    let conditional_create_only = r.list(read_path)?;
    let deprecated = r.list(read_path)?;
    let primary_identifier = r.list(read_path)?;
    let reference = r.list(read_path)?;
    let arn_template = read_optional_word(r)?;
    let scrutiny = r.list(|r| Some((read_path(r)?, read_scrutiny(r)?)))?;
    let [immutable, stateful, delete_first, tagged] = read_flags(r)?;
    let tagging = if tagged { Some(read_tagging(r)?) } else { None };
    let lifecycle = match r.byte()? {
        0 => Lifecycle::Active,
        1 => Lifecycle::Ending { date: read_optional_word(r)? },
        2 => Lifecycle::Ended,
        _ => return None,
    };
    let replacement_order =
        if delete_first { ReplacementOrder::DeleteFirst } else { ReplacementOrder::CreateFirst };
    let region_bits = u64::from_le_bytes(r.take(8)?.try_into().ok()?);
    Some(ResourceType {
        name,
        properties,
        definitions,
        attributes,
        attribute_prefixes,
        read_only,
        write_only,
        create_only,
        conditional_create_only,
        deprecated,
        primary_identifier,
        reference,
        arn_template,
        scrutiny,
        immutable,
        replacement_order,
        stateful,
        tagging,
        lifecycle,
        region_bits,
    })
}

fn read_tagging(r: &mut Reader<'_, '_>) -> Option<Tagging> {
    let property = read_path(r)?;
    let [updatable, system_tags, ..] = read_flags(r)?;
    Some(Tagging { property, updatable, system_tags })
}

const SCRUTINIES: [Scrutiny; 7] = [
    Scrutiny::ResourcePolicy,
    Scrutiny::IdentityPolicy,
    Scrutiny::ManagedPolicies,
    Scrutiny::LambdaPermission,
    Scrutiny::IngressRules,
    Scrutiny::EgressRules,
    Scrutiny::IdentityCenter,
];

fn write_scrutiny(w: &mut Writer<'_>, scrutiny: Scrutiny) {
    w.number(SCRUTINIES.iter().position(|other| *other == scrutiny).unwrap_or_default());
}

fn read_scrutiny(r: &mut Reader<'_, '_>) -> Option<Scrutiny> {
    SCRUTINIES.get(r.number()?).copied()
}

fn write_path<'a>(w: &mut Writer<'a>, path: &'a PropertyPath) {
    w.words(path.segments());
}

fn read_path(r: &mut Reader<'_, '_>) -> Option<PropertyPath> {
    Some(PropertyPath::new(r.words()?))
}

fn write_shape<'a>(w: &mut Writer<'a>, shape: &'a Shape) {
    match shape {
        Shape::Any => w.byte(0),
        Shape::Json => w.byte(1),
        Shape::Boolean => w.byte(2),
        Shape::Integer(number) => {
            w.byte(3);
            write_number(w, number);
        }
        Shape::Number(number) => {
            w.byte(4);
            write_number(w, number);
        }
        // Most text has no limits at all, and most of the rest only some: two of
        // the tags say which, the plain one saves the byte.
        Shape::String(string) if *string == StringShape::default() => w.byte(5),
        Shape::String(string) => {
            w.byte(6);
            write_string(w, string);
        }
        Shape::Array(array) => {
            w.byte(7);
            write_array(w, array);
        }
        Shape::Object(object) => {
            w.byte(8);
            write_object(w, object);
        }
        Shape::Map(map) => {
            w.byte(9);
            write_map(w, map);
        }
        Shape::Definition(place) => {
            w.byte(10);
            w.number(*place);
        }
        Shape::AnyOf(shapes) => {
            w.byte(11);
            w.list(shapes, write_shape);
        }
    }
}

fn read_shape(r: &mut Reader<'_, '_>) -> Option<Shape> {
    Some(match r.byte()? {
        0 => Shape::Any,
        1 => Shape::Json,
        2 => Shape::Boolean,
        3 => Shape::Integer(read_number(r)?),
        4 => Shape::Number(read_number(r)?),
        5 => Shape::String(StringShape::default()),
        6 => Shape::String(read_string(r)?),
        7 => Shape::Array(Box::new(read_array(r)?)),
        8 => Shape::Object(Box::new(read_object(r)?)),
        9 => Shape::Map(Box::new(read_map(r)?)),
        10 => Shape::Definition(r.number()?),
        11 => Shape::AnyOf(r.list(read_shape)?),
        _ => return None,
    })
}

fn write_object<'a>(w: &mut Writer<'a>, object: &'a ObjectShape) {
    w.byte(flags([object.open, false, false, false]));
    w.list(&object.properties, |w, property| {
        w.word(property.name);
        w.byte(u8::from(property.required));
        write_shape(w, &property.shape);
    });
    w.list(&object.rules, |w, rule| match rule {
        ObjectRule::ExactlyOne(groups) => {
            w.byte(0);
            w.list(groups, |w, group| w.words(group));
        }
        ObjectRule::AtLeastOne(groups) => {
            w.byte(1);
            w.list(groups, |w, group| w.words(group));
        }
        ObjectRule::Requires { name, needs } => {
            w.byte(2);
            w.word(name);
            w.words(needs);
        }
        ObjectRule::Excludes { name, others } => {
            w.byte(3);
            w.word(name);
            w.words(others);
        }
    });
}

fn read_object(r: &mut Reader<'_, '_>) -> Option<ObjectShape> {
    let [open, ..] = read_flags(r)?;
    let properties = r.list(|r| {
        let (name, required) = (r.word()?, r.byte()? != 0);
        Some(Property { name, required, shape: read_shape(r)? })
    })?;
    let rules = r.list(|r| {
        Some(match r.byte()? {
            0 => ObjectRule::ExactlyOne(r.list(Reader::words)?),
            1 => ObjectRule::AtLeastOne(r.list(Reader::words)?),
            2 => ObjectRule::Requires { name: r.word()?, needs: r.words()? },
            3 => ObjectRule::Excludes { name: r.word()?, others: r.words()? },
            _ => return None,
        })
    })?;
    Some(ObjectShape { properties, open, rules })
}

fn write_map<'a>(w: &mut Writer<'a>, map: &'a MapShape) {
    w.list(&map.patterns, |w, (pattern, shape)| {
        w.word(pattern);
        write_shape(w, shape);
    });
    w.byte(u8::from(map.other.is_some()));
    if let Some(other) = &map.other {
        write_shape(w, other);
    }
    write_optional(w, map.min);
    write_optional(w, map.max);
}

fn read_map(r: &mut Reader<'_, '_>) -> Option<MapShape> {
    let patterns = r.list(|r| Some((r.word()?, read_shape(r)?)))?;
    let other = if r.byte()? != 0 { Some(read_shape(r)?) } else { None };
    Some(MapShape { patterns, other, min: read_optional(r)?, max: read_optional(r)? })
}

fn write_array<'a>(w: &mut Writer<'a>, array: &'a ArrayShape) {
    write_shape(w, &array.items);
    w.byte(flags([
        array.unique,
        array.ordered,
        array.min.is_some() || array.max.is_some(),
        !array.prefix.is_empty() || !array.unique_keys.is_empty(),
    ]));
    if array.min.is_some() || array.max.is_some() {
        write_optional(w, array.min);
        write_optional(w, array.max);
    }
    if !array.prefix.is_empty() || !array.unique_keys.is_empty() {
        w.list(&array.prefix, write_shape);
        w.words(&array.unique_keys);
    }
}

fn read_array(r: &mut Reader<'_, '_>) -> Option<ArrayShape> {
    let items = read_shape(r)?;
    let [unique, ordered, limited, special] = read_flags(r)?;
    let (min, max) = if limited { (read_optional(r)?, read_optional(r)?) } else { (None, None) };
    let (prefix, unique_keys) =
        if special { (r.list(read_shape)?, r.words()?) } else { (Vec::new(), Vec::new()) };
    Some(ArrayShape { items, prefix, min, max, unique, ordered, unique_keys })
}

fn write_string<'a>(w: &mut Writer<'a>, string: &'a StringShape) {
    let limited = string.min_length.is_some() || string.max_length.is_some();
    let special = string.format.is_some() || !string.targets.is_empty() || string.ignore_case;
    w.byte(flags([!string.values.is_empty(), string.pattern.is_some(), limited, special]));
    if !string.values.is_empty() {
        w.words(&string.values);
    }
    if let Some(pattern) = string.pattern {
        w.word(pattern);
    }
    if limited {
        write_optional(w, string.min_length);
        write_optional(w, string.max_length);
    }
    if special {
        w.byte(u8::from(string.ignore_case));
        w.byte(match string.format {
            None => 0,
            Some(Format::DateTime) => 1,
            Some(Format::Json) => 2,
            Some(Format::Ipv4Network) => 3,
            Some(Format::Ipv6Network) => 4,
            Some(Format::Uri) => 5,
        });
        w.list(&string.targets, |w, target| {
            w.word(target.resource_type);
            w.word(target.attribute);
        });
    }
}

fn read_string(r: &mut Reader<'_, '_>) -> Option<StringShape> {
    let [listed, patterned, limited, special] = read_flags(r)?;
    let mut string = StringShape::default();
    if listed {
        string.values = r.words()?;
    }
    if patterned {
        string.pattern = Some(r.word()?);
    }
    if limited {
        (string.min_length, string.max_length) = (read_optional(r)?, read_optional(r)?);
    }
    if special {
        string.ignore_case = r.byte()? != 0;
        string.format = match r.byte()? {
            0 => None,
            1 => Some(Format::DateTime),
            2 => Some(Format::Json),
            3 => Some(Format::Ipv4Network),
            4 => Some(Format::Ipv6Network),
            5 => Some(Format::Uri),
            _ => return None,
        };
        string.targets =
            r.list(|r| Some(Target { resource_type: r.word()?, attribute: r.word()? }))?;
    }
    Some(string)
}

fn write_number(w: &mut Writer<'_>, number: &NumberShape) {
    w.byte(flags([!number.values.is_empty(), number.min.is_some(), number.max.is_some(), false]));
    if !number.values.is_empty() {
        w.number(number.values.len());
        number.values.iter().for_each(|value| w.float(*value));
    }
    [number.min, number.max].into_iter().flatten().for_each(|limit| w.float(limit));
}

fn read_number(r: &mut Reader<'_, '_>) -> Option<NumberShape> {
    let [listed, min, max, _] = read_flags(r)?;
    let values = if listed { r.list(Reader::float)? } else { Vec::new() };
    let min = if min { Some(r.float()?) } else { None };
    let max = if max { Some(r.float()?) } else { None };
    Some(NumberShape { values, min, max })
}

fn write_optional(w: &mut Writer<'_>, value: Option<u32>) {
    w.number(value.map_or(0, |value| value as usize + 1));
}

fn read_optional(r: &mut Reader<'_, '_>) -> Option<Option<u32>> {
    match r.number()? {
        0 => Some(None),
        more => Some(Some(u32::try_from(more - 1).ok()?)),
    }
}

fn write_optional_word<'a>(w: &mut Writer<'a>, word: Option<&'a str>) {
    w.byte(u8::from(word.is_some()));
    if let Some(word) = word {
        w.word(word);
    }
}

fn read_optional_word(r: &mut Reader<'_, '_>) -> Option<Option<&'static str>> {
    if r.byte()? == 0 { Some(None) } else { Some(Some(r.word()?)) }
}

fn flags(set: [bool; 4]) -> u8 {
    set.iter().enumerate().map(|(place, flag)| u8::from(*flag) << place).sum()
}

fn read_flags(r: &mut Reader<'_, '_>) -> Option<[bool; 4]> {
    let byte = r.byte()?;
    Some([0, 1, 2, 3].map(|place| byte & (1 << place) != 0))
}
