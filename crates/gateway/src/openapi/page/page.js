"use strict";

// The document is beside this page. Nothing is asked of anybody else: no validator, no addresses out of the query.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  validatorUrl: null,
  queryConfigEnabled: false,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
});
