"use strict";

// Swagger UI has a dark theme behind this class, and no switch of its own for it in this layout.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // By default, versions of Swagger UI show the specification to a validator on the internet.
  validatorUrl: null,
});
