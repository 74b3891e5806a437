import { connection } from "next/server";

export const metadata = { title: "Pictures", icons: "data:," };

export default async function Layout({ children }) {
  await connection(); // rendered for each request, with the nonce of its policy
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
