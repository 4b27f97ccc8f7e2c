//! The keys as JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::{Key, Kind, Shape};

impl Shape {
    /// The schema of a configuration. It allows more than the reader, which knows what the keys mean
    /// beside each other, and never less.
    pub fn schema(&self) -> Value {
        let mut schema = self.members("");
        schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
        schema.insert("title".into(), json!("ecs-queue-scaler"));
        schema.insert("description".into(), json!("Which ECS tasks empty which SQS queues."));
        schema.insert("type".into(), json!("object"));
        Value::Object(schema)
    }

    /// The same as a file.
    pub fn schema_text(&self) -> String {
        format!("{:#}\n", self.schema())
    }

    /// What may be at a path.
    fn schema_at(&self, path: &str) -> Map<String, Value> {
        let here: Vec<_> = self.keys.iter().filter(|key| key.path == path).collect();
        let all: Vec<_> = here.iter().map(|key| self.schema_of(key)).collect();
        let mut schema = match <[_; 1]>::try_from(all) {
            Ok([schema]) => schema,
            Err(all) => Map::from_iter([("anyOf".to_owned(), json!(all))]),
        };
        if let Some(key) = here.iter().find(|key| !key.about.sentence.is_empty()) {
            schema.insert("description".to_owned(), json!(description(key)));
        }
        schema
    }

    fn schema_of(&self, key: &Key) -> Map<String, Value> {
        let mut schema = key.schema.as_object().cloned().unwrap_or_default();
        match key.kind {
            Kind::Value => {}
            Kind::Object => schema.extend(self.members(&key.path)),
            Kind::List => {
                let items = self.schema_at(&format!("{}[]", key.path));
                schema.insert("items".to_owned(), Value::Object(items));
            }
        }
        schema
    }

    /// What may be in an object.
    fn members(&self, path: &str) -> Map<String, Value> {
        let below = || self.keys.iter().filter(|key| key.parent() == path && !key.is_item());
        let member = |key: &Key| (key.name().to_owned(), Value::Object(self.schema_at(&key.path)));
        let properties: Map<_, _> = below().map(member).collect();
        let required: Vec<_> = below().filter(|key| key.about.is_required).map(Key::name).collect();
        let mut members = Map::from_iter([
            ("additionalProperties".to_owned(), json!(false)),
            ("properties".to_owned(), Value::Object(properties)),
        ]);
        if !required.is_empty() {
            members.insert("required".to_owned(), json!(required));
        }
        members
    }
}

fn description(key: &Key) -> String {
    let text = |markdown: &str| markdown.replace('`', "");
    let sentence = text(key.about.sentence);
    match key.about.default {
        "" => sentence,
        default => format!("{sentence} (default: {})", text(default)),
    }
}
