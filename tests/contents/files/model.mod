param n;
var x{1..n};
minimize cost: sum{i in 1..n} x[i];
end;
