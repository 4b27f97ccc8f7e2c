//! HTTP/1.1 on loopback, on one thread beside the function that is measured.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::Error;
use crate::aws::Aws;

/// The fake's SQS and ECS, over HTTP and over HTTPS.
#[derive(Clone, Debug)]
pub struct Fake {
    /// What answers.
    aws: Arc<Mutex<Aws>>,
    /// `http://127.0.0.1:...`
    pub plain: String,
    /// `https://127.0.0.1:...`
    pub tls: String,
    /// The certificate that a client has to trust, as PEM.
    pub certificate: String,
}

/// A thread that serves for the life of the process.
pub fn thread() -> Result<Handle, Error> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(handle)
}

impl Fake {
    /// Listens on two free ports.
    ///
    /// # Errors
    /// When there is none, or no certificate.
    pub fn listen(on: &Handle) -> Result<Self, Error> {
        let aws = Arc::new(Mutex::new(Aws::default()));
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())?;
        // As the endpoints of SQS and ECS do.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let plain = serve_aws(on, (aws.clone(), None))?;
        let tls = serve_aws(on, (aws.clone(), Some(acceptor)))?;
        Ok(Self {
            aws,
            plain: format!("http://{plain}"),
            tls: format!("https://{tls}"),
            certificate: cert.pem(),
        })
    }

    /// What answers.
    pub fn aws(&self) -> MutexGuard<'_, Aws> {
        self.aws.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what a client trusts: this machine's roots, which take time to read in the cloud
    /// too, and the fake's certificate.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_trust(&self, path: &Path) -> io::Result<()> {
        let roots = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
        let roots = roots.iter().find_map(|path| std::fs::read_to_string(path).ok());
        std::fs::write(path, roots.unwrap_or_default() + "\n" + &self.certificate)
    }
}

/// Listens on a free port of loopback.
pub(crate) fn bind(on: &Handle) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let _inside = on.enter();
    Ok((TcpListener::from_std(listener)?, address))
}

fn serve_aws(
    on: &Handle,
    (aws, tls): (Arc<Mutex<Aws>>, Option<TlsAcceptor>),
) -> io::Result<SocketAddr> {
    let (listener, address) = bind(on)?;
    on.spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(serve_connection(stream, aws.clone(), tls.clone()));
        }
    });
    Ok(address)
}

async fn serve_connection(stream: TcpStream, aws: Arc<Mutex<Aws>>, tls: Option<TlsAcceptor>) {
    let _ = stream.set_nodelay(true);
    aws.lock().unwrap_or_else(PoisonError::into_inner).connected();
    match tls {
        None => speak(stream, &aws).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, &aws).await;
            }
        }
    }
    aws.lock().unwrap_or_else(PoisonError::into_inner).disconnected();
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, aws: &Arc<Mutex<Aws>>) {
    let service = service_fn(|request| respond(request, aws.clone()));
    // A function that ends leaves its connections as they are.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    aws: Arc<Mutex<Aws>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let target = target.unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let lock = || aws.lock().unwrap_or_else(PoisonError::into_inner);
    let (depth, (status, answer), delay) = lock().call(&target, &input);
    let answer = answer.to_string();
    wait(delay).await;
    lock().answered(depth);
    let mut response = Response::new(Full::new(Bytes::from(answer)));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// tokio's timer counts whole milliseconds, rounded up: without this, ten would be eleven.
async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay.saturating_sub(Duration::from_micros(500))).await;
    }
}
