export const A = () => <p>a</p>;
