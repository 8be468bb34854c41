//! What is said of an operation: a value, of which the document's form is made at the end.

use super::{schemas::Refused, tag::Tag};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HttpMethod, Ref, RefOr, Required, ResponseBuilder, ResponsesBuilder, Schema,
        content::Content,
        path::{self, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type},
    },
};

/// Schemas by their names.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What can be done at a path, by method. `HEAD` follows from `GET`.
pub(super) struct Methods {
    pub(super) tag: Tag,
    pub(super) operations: Vec<(HttpMethod, Operation)>,
}

/// What one method does.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Parameter>,
    body: Option<(Required, Vec<Payload>)>,
    answers: BTreeMap<u16, (&'static str, Vec<Payload>)>,
}

/// A body, one way or the other.
#[derive(Clone)]
pub(super) struct Payload {
    media: &'static str,
    schema: RefOr<Schema>,
    schemas: Schemas,
    example: Option<Value>,
}

/// What the value of a parameter is.
pub(super) enum Kind {
    Text,
    /// `true`, or anything else for no.
    Flag,
    Number,
    /// An array in JSON.
    Texts,
    OneOf(&'static [&'static str]),
}

/// What is done at a path of this part of the document.
pub(super) fn at(tag: Tag) -> Methods {
    Methods { tag, operations: Vec::new() }
}

impl Methods {
    fn with(mut self, method: HttpMethod, operation: Operation) -> Self {
        self.operations.push((method, operation));
        self
    }

    pub(super) fn get(self, operation: Operation) -> Self {
        let head = Operation::head_of(&operation);
        self.with(HttpMethod::Get, operation).with(HttpMethod::Head, head)
    }

    pub(super) fn put(self, operation: Operation) -> Self {
        self.with(HttpMethod::Put, operation)
    }

    pub(super) fn post(self, operation: Operation) -> Self {
        self.with(HttpMethod::Post, operation)
    }

    pub(super) fn delete(self, operation: Operation) -> Self {
        self.with(HttpMethod::Delete, operation)
    }
}

/// A type as JSON.
pub(super) fn json<T: ToSchema>() -> Payload {
    json_of::<T>(|named| named.into())
}

/// An array of a type.
pub(super) fn json_array<T: ToSchema>() -> Payload {
    json_of::<T>(|named| ArrayBuilder::new().items(named).into())
}

/// An object whose members are all of a type.
pub(super) fn json_map<T: ToSchema>() -> Payload {
    json_of::<T>(|named| ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(named)).into())
}

fn json_of<T: ToSchema>(schema: impl FnOnce(Ref) -> RefOr<Schema>) -> Payload {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    json_schema(schema(Ref::from_schema_name(T::name())), schemas)
}

/// JSON of no type of ours.
pub(super) fn plain_json<T: ToSchema>() -> Payload {
    json_schema(T::schema(), Vec::new())
}

/// Any JSON object.
pub(super) fn object() -> Payload {
    json_schema(ObjectBuilder::new().schema_type(Type::Object).into(), Vec::new())
}

fn json_schema(schema: RefOr<Schema>, schemas: Schemas) -> Payload {
    Payload { media: "application/json", schema, schemas, example: None }
}

/// Text of a media type.
pub(super) fn text(media: &'static str) -> Payload {
    let schema = ObjectBuilder::new().schema_type(Type::String).into();
    Payload { media, schema, schemas: Vec::new(), example: None }
}

/// Bytes of a media type.
pub(super) fn bytes(media: &'static str) -> Payload {
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
    let schema = ObjectBuilder::new().schema_type(Type::String).format(format).into();
    Payload { media, schema, schemas: Vec::new(), example: None }
}

impl Payload {
    pub(super) fn example(self, example: Value) -> Self {
        Self { example: Some(example), ..self }
    }

    /// The same as another media type.
    pub(super) fn media(self, media: &'static str) -> Self {
        Self { media, ..self }
    }

    fn into_content(self, schemas: &mut Schemas) -> (&'static str, Content) {
        schemas.extend(self.schemas);
        (self.media, ContentBuilder::new().schema(Some(self.schema)).example(self.example).build())
    }
}

impl Kind {
    fn schema(&self) -> Schema {
        let plain = |kind: Type| ObjectBuilder::new().schema_type(kind).into();
        match self {
            Self::Text => plain(Type::String),
            Self::Flag => plain(Type::Boolean),
            Self::Number => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into(),
            Self::Texts => ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).into(),
            Self::OneOf(values) => {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.iter().copied())).into()
            }
        }
    }
}

impl Operation {
    pub(super) fn new(id: &str, summary: &'static str) -> Self {
        Self { id: id.to_owned(), summary, about: "", parameters: Vec::new(), body: None, answers: BTreeMap::new() }
    }

    /// What else there is to know.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// A parameter of the query.
    pub(super) fn query(mut self, name: &str, kind: &Kind, meaning: &str) -> Self {
        let parameter = parameter(ParameterIn::Query, name, meaning).required(Required::False);
        let value = match kind {
            // JSON, not the name again and again.
            Kind::Texts => {
                parameter.content("application/json", ContentBuilder::new().schema(Some(kind.schema())).build())
            }
            Kind::Text | Kind::Flag | Kind::Number | Kind::OneOf(_) => parameter.schema(Some(kind.schema())),
        };
        self.parameters.push(value.build());
        self
    }

    /// A parameter of the query without which nothing is done.
    pub(super) fn required_query(mut self, name: &str, meaning: &str) -> Self {
        let parameter = parameter(ParameterIn::Query, name, meaning).required(Required::True);
        self.parameters.push(parameter.schema(Some(Kind::Text.schema())).build());
        self
    }

    pub(super) fn header(mut self, name: &str, meaning: &str) -> Self {
        let parameter = parameter(ParameterIn::Header, name, meaning).required(Required::False);
        self.parameters.push(parameter.schema(Some(Kind::Text.schema())).build());
        self
    }

    /// A body that must be there, in one more form.
    pub(super) fn takes(self, payload: Payload) -> Self {
        self.with_body(Required::True, payload)
    }

    /// A body that may be there, in one more form.
    pub(super) fn may_take(self, payload: Payload) -> Self {
        self.with_body(Required::False, payload)
    }

    fn with_body(mut self, required: Required, payload: Payload) -> Self {
        let mut payloads = self.body.map_or_else(Vec::new, |(_, payloads)| payloads);
        payloads.push(payload);
        self.body = Some((required, payloads));
        self
    }

    /// An answer with a body; said twice of a status, in another form.
    pub(super) fn answers(mut self, status: u16, meaning: &'static str, payload: Payload) -> Self {
        self.answers.entry(status).or_insert((meaning, Vec::new())).1.push(payload);
        self
    }

    /// An answer without a body.
    pub(super) fn done(mut self, status: u16, meaning: &'static str) -> Self {
        self.answers.insert(status, (meaning, Vec::new()));
        self
    }

    /// A refusal whose reason its status doesn't tell.
    pub(super) fn refuses_with(self, status: u16, meaning: &'static str) -> Self {
        self.answers(status, meaning, json::<Refused>())
    }

    /// Refusals that mean what they mean everywhere.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            if !self.answers.contains_key(status) {
                self = self.refuses_with(*status, meaning_of(*status));
            }
        }
        self
    }

    fn head_of(get: &Self) -> Self {
        let mut head = Self { id: format!("{}Head", get.id), summary: "The head of what GET answers", ..get.clone() };
        head.answers.values_mut().for_each(|(_, payloads)| payloads.clear());
        head
    }

    /// The operation as the document has it, and the schemas that it speaks of.
    pub(super) fn build(self, path_parameters: impl IntoIterator<Item = Parameter>) -> (path::Operation, Schemas) {
        let mut schemas = Vec::new();
        let mut responses = ResponsesBuilder::new();
        for (status, (meaning, payloads)) in self.answers {
            let mut response = ResponseBuilder::new().description(meaning);
            for (media, content) in payloads.into_iter().map(|payload| payload.into_content(&mut schemas)) {
                response = response.content(media, content);
            }
            responses = responses.response(status.to_string(), response.build());
        }
        let body = self.body.map(|(required, payloads)| {
            let mut body = RequestBodyBuilder::new().required(Some(required));
            for (media, content) in payloads.into_iter().map(|payload| payload.into_content(&mut schemas)) {
                body = body.content(media, content);
            }
            body.build()
        });
        let operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(Some(self.about).filter(|about| !about.is_empty()))
            .parameters(Some(path_parameters.into_iter().chain(self.parameters)))
            .request_body(body)
            .responses(responses.build());
        (operation.build(), schemas)
    }
}

fn parameter(place: ParameterIn, name: &str, meaning: &str) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).description(Some(meaning))
}

/// A parameter of the path.
pub(super) fn path_parameter(name: &str, meaning: &str) -> Parameter {
    let parameter = parameter(ParameterIn::Path, name, meaning).required(Required::True);
    parameter.schema(Some(Kind::Text.schema())).build()
}

/// What a refusal means where it means what it means everywhere.
fn meaning_of(status: u16) -> &'static str {
    match status {
        400 => "The request can't be understood, or isn't what it must be.",
        401 => "Nobody has logged in, or the login is wrong.",
        403 => "Not allowed to whoever asks.",
        404 => "There is no such thing, or it isn't told of to whoever asks.",
        406 => "The client takes none of the forms that there are.",
        409 => "The edit doesn't follow what is there: somebody was faster.",
        412 => "What is there isn't what the request supposes.",
        413 => "The body is larger than it may be.",
        415 => "The body is declared as something that isn't taken.",
        416 => "The range isn't within the content.",
        500 => "A failure of the server, or of the database's function.",
        501 => "This version of Tidegate doesn't do it.",
        502 => "The identity provider can't be reached, or answers nonsense.",
        503 => "Not now: the database is offline, or too much is going on.",
        _ => "The request is refused.",
    }
}
