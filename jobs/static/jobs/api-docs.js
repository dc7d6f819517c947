// Show the calls of the API, in the colours that the reader's system asks for.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
paint();
dark.addEventListener("change", paint);

const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  // The calls push the errors down, after the browser went to the one in the address.
  onComplete: () => document.getElementById(location.hash.slice(1))?.scrollIntoView(),
});
