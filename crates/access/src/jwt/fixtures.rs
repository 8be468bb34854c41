//! Keys made for these tests alone, and tokens signed with them by another implementation (OpenSSL, Python).
//!
//! The claims are `{"sub":"ada","exp":2000000000,"_couchdb.roles":["a"]}`.

pub(super) const RSA: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAywLbMxR9acpGKycKwgEG\nFEMQXjUQ3ijU093OMtusdDldiyOMMN8pfusGAwbA3/i3gLPPv536E1NtLK6XIc87\ndXpCTbLeqI8rWs3FjpelP4ZYe8Saari6EQc8qwIW8ustYBn3rMdxqgvdtnUGu1za\nPUjqJWETv5wV8he5+M3c5tRlsFg0tC4X0k5fTqWZJ1aSs+ZRas4wKK9FnQLytCI+\nTtt6PJDepLVaUH/ANTHjV+BPijnrZ1lRw5IsKPrGrbuG/wE/yjzQIi8VMv9hQYSU\nk/7TSTMe49c3JqUWm5LSMjxmp11sZn0suw4lZp+Z6i8E13+gNILR2nuKzfdkvudi\nlQIDAQAB\n-----END PUBLIC KEY-----";
/// The same key.
pub(super) const RSA_PKCS1: &str = "-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAywLbMxR9acpGKycKwgEGFEMQXjUQ3ijU093OMtusdDldiyOMMN8p\nfusGAwbA3/i3gLPPv536E1NtLK6XIc87dXpCTbLeqI8rWs3FjpelP4ZYe8Saari6\nEQc8qwIW8ustYBn3rMdxqgvdtnUGu1zaPUjqJWETv5wV8he5+M3c5tRlsFg0tC4X\n0k5fTqWZJ1aSs+ZRas4wKK9FnQLytCI+Ttt6PJDepLVaUH/ANTHjV+BPijnrZ1lR\nw5IsKPrGrbuG/wE/yjzQIi8VMv9hQYSUk/7TSTMe49c3JqUWm5LSMjxmp11sZn0s\nuw4lZp+Z6i8E13+gNILR2nuKzfdkvudilQIDAQAB\n-----END RSA PUBLIC KEY-----";
pub(super) const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDd9lLZcMtODodA0AAUHMGVmk2Q\nIEVZKw8rVMq2HQVSITZG67XwDqm3Q0AnYaisr2eTLOX36z7W1Z8dwZ0Lcu9gIBEG\n8z7Kam6teCJBYrYw0WIPN1aRHd3dxuCGcOLUSS/+qYc4T5ogx7avhRq4aLPrPM7J\nXpHJS+3A9PE3sU3LTwIDAQAB\n-----END PUBLIC KEY-----";
pub(super) const P256: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDG4sgMoUCTrnyzvfUeC8DJqYe5zy\n/U4mpl1zFXYbLgXngseZIYca206Y+q/ol1eDP1u4AbC8FxUgNo1VKE9kqg==\n-----END PUBLIC KEY-----";
pub(super) const P384: &str = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEMgvK3om5izxOIFqpDiBLUTCtzRgPVVDK\nGJqMhuK9Ee8tD8heQeyW5Gbbp6gOjCkGLW3XuPMa8nsH9JqchAD6BXgdWIo6z6E9\nFTKpIAX+UKyJFfCoamUNM3vnnZ6m6CRB\n-----END PUBLIC KEY-----";
pub(super) const P521: &str = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA+IJIbtd4UDACGyDq2IGYWacddajG\nDijcop+p3yKBDV9hfDzPmgNh6WNyVnpzulngmA17Hy2nawvXJuZyAWYhjk0BQBYq\nZ8E2YgNS6c4XYiedL/Gar5c4/Z5ifttBX+kdeNRQDZH9+AkzBnSHcxzTDakFPPiU\nfq7tkCmRAG0O3HdUI0k=\n-----END PUBLIC KEY-----";
pub(super) const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAsZyGkoti6J4lNHAjdZvFFmbl+toxIv6q4nqTi1JDzgQ=\n-----END PUBLIC KEY-----";
pub(super) const SECRET: &str = "YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcy4uLi4=";

/// One for each algorithm, with the id of its key.
pub(crate) const TOKENS: [(&str, &str); 8] = [
    (
        "HS256",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImgifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.8gNQT1C2z4Epodac4t6V7kseB_EAEjAQsfwBco3cV0c",
    ),
    (
        "HS384",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzM4NCIsImtpZCI6ImgifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.7aW8MJmLSAS1ZodVjFtRE8EJvTr8Jf7D9TesrkvwCkv3eeZlXry2yOa23iNpwzrB",
    ),
    (
        "HS512",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiIsImtpZCI6ImgifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.zsuDM7rY2iZ_TgfaVEwCcGJdH6m_Iy1ptR-rhuE9UTwb0QJPS1AjMV0jSprQ9KmgLnKjc1EONMUquofky9bzFQ",
    ),
    (
        "RS256",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.mb7IX6-ApOj6HQKRwWpPSEkhd9W7qnWggVqRYL2ZzX9OHAMS3LMY4f8shxbfbDwVImyN4Rw4oJdyg9V5tkJZKo3fxgIERS4c_ojC0QpxtomPDS0OQ6UstDuCH8_tmQryOsTs6BYXRXo4bo8kNzp4lWeYgju5CuILGV7SEpY9ZQASmAnI7EiyT2NfGyrCX5PlnawvceeyL1XjfAzwDYAJ0cI9lXRi5AL-sbIeAFHFHIzrW2MlLiAne4AGINGUESIOwHo6Y8yFe362-ncWFoUP-YVpcT3_P4wJigLuJ-wweZ1z7Hey6pGnsfM6m5a7brQss30cFR_irrLuu4IcmKDPaw",
    ),
    (
        "RS384",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzM4NCIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.Jr5w9sAOK13DJBc7MEfrow-s8ZPFEhTA9l9kCS7h0EnshQxV4t6HtFcihaOE0_0bC8qdAMDgT29KSW44Vs5SawUw7na7isO4ywLooSBqEovF_SXexN3ee5s6Jmk0-6D7JyfGwshY2M12Cif-3J9fZkjCarLJ6cvEt2cRWPZCVIOJyPp7TOMK4s3DvShv-PTv9NCRr7rVGASM545gR7J61zkaTCc4j5fTlbY-Fo48NJGFw0T7IFmg0lY04toWLERGeK3wJ3PfJt52xMND8NgRHCjD8BMfu0munpRrBb2_RyhZRr_CD94FFqss8OsPYVGifXSkMe-b6pa67JQJgVFEtA",
    ),
    (
        "RS512",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzUxMiIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.jlEG_Y8W_QWzsZjhnEpI9MWLLG-z5W6PDzOGqv11yB8zs-bwqgLAQaRZYUHYyfhZfp8d32XVcTM7zzVKUbfPQyy7XmeL2DVM-QBv_I6C_7NIbKsMfyrydWoRLvUaf__TtwlNC0GCBgYfetgT030AoPVxJmwnTOzjEq1akBGtEtI2R0wpOKFsXq7DgDOR5sRx6f31Sj78Q1xUE9YOJxSrozmkuAWE3Y5H2faf-uvR5xTQ5LTdZc6gr4AfiJhiG-_QgWBuJWZEOUfUYxkIDS7XHVBFKF4LlJXFFVuBCSw5kYUwh5u6d390Z5ztDnxz8J7TbreMtHnGp8UsD2XOTahv5w",
    ),
    (
        "ES256",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.wbspf6-cA3gJFY1N7NvENKYchLwHrCDbZEDdar8A9dAQOHA0Fn4nhjv7OJMBITvJ0TS5RbFaBLBLwS43OapdaA",
    ),
    (
        "ES384",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzM4NCIsImtpZCI6InAzODQifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.ngHq1R57PD1cyHRUpyMxcTkYTTGHzBskokUSoP3gZhrWr2OkbTusTaJr1X587znIcFUGxrMfghICQjOXIpDG7saRJOW9zFnNmgeVH_KEwhat-Q6P4Ks5fa7SiXN1Quuy",
    ),
];
/// Signed with the key `p384`, as CouchDB would accept it.
pub(super) const ES256_BY_P384: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiIsImtpZCI6InAzODQifQ.eyJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsIl9jb3VjaGRiLnJvbGVzIjpbImEiXX0.2Jv4f2XljdkeVFA2iX6-8Oz3xfVXwc-SjEWnL9gOaZR_m0l3wLFnXMqGhNnTX8yYr8YsV9EfVxeu1ugcqqRKSODymTx_RuiIR6FfBH0qxBqDiURrcTcTGfRlp78rK_3n";
