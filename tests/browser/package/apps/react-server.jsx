/* Renders the list as a server does, where there is no browser. */

import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { List } from "./list.jsx";

const source = { endpoint: "/uploads", destination: "files" };
console.log(renderToString(<StrictMode><List source={source} /></StrictMode>));
