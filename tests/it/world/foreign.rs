//! Answers that are not AWS's: something on the way gives them.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

use super::World;

impl World {
    /// How much was read of answers without an end.
    pub(crate) fn read_of_endless(&self) -> usize {
        self.state().read_of_endless
    }

    /// An answer that goes on for as long as somebody reads.
    pub(super) fn endless(&self) -> HttpResponse {
        let state = self.state.clone();
        let part = Bytes::from(vec![b' '; 1 << 16]);
        let parts = futures_util::stream::repeat_with(move || {
            state.lock().unwrap().read_of_endless += part.len();
            Ok::<_, std::convert::Infallible>(Frame::data(part.clone()))
        });
        let body = SdkBody::from_body_1_x(StreamBody::new(parts));
        HttpResponse::new(200.try_into().unwrap(), body)
    }
}

pub(super) fn foreign(
    status: u16,
    (name, value): (&'static str, &'static str),
    body: &str,
) -> HttpResponse {
    let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    answer.headers_mut().insert(name, value);
    answer
}
